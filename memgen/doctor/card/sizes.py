"""How large models and batches are: those of a real card, or small ones with which a CPU tries the script."""

from dataclasses import dataclass

from memgen.contract.presets import Dimensions, Preset, get_preset


@dataclass(frozen=True)
class Sizes:
    """Sizes of everything that is measured."""

    models: tuple[Preset, ...]
    """Smallest first; the first one is measured in depth."""
    widths: tuple[int, ...] = (64, 8, 256)
    """Rows of a generation, what matters most first."""
    prompt: int = 160
    """Tokens of the longest prompt; the shortest has 96 (GSM8K's are 60 to 250 long)."""
    shortest_prompt: int = 96
    tokens: int = 256
    """New tokens of each row."""
    every: int = 41
    """Tokens of a row from one insertion to the next: with the prompt's six in `tokens`."""
    sft_rows: tuple[int, ...] = (4, 16, 64)
    sft_prompt: int = 128
    sft_answer: int = 172
    sft_steps: int = 4
    grpo_rows: tuple[int, ...] = (8, 64)
    grpo_tokens: int = 128
    ltpo_rows: int = 64
    ltpo_tokens: int = 64
    traced_from: int = 24
    """The first traced pass: the prompts are read by then."""
    traced: int = 3
    """Traced passes; a pass is some thousands of launches."""
    large_tokens: int = 24
    copied: int = 2**31
    """Bytes of the copy that shows the memory's bandwidth."""
    product: int = 8192
    """Side of the square matrices that show the speed of products."""
    noise_questions: int = 64
    noise_tokens: int = 48


def full() -> Sizes:
    """For a card with 80 GB."""
    names = ("Qwen/Qwen2.5-1.5B-Instruct", "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen3-14B")
    return Sizes(tuple(get_preset(name) for name in names))


def tiny() -> Sizes:
    """For a CPU and a few seconds."""
    dims = Dimensions(
        hidden_size=64,
        num_layers=2,
        num_heads=4,
        num_kv_heads=2,
        head_dim=16,
        intermediate_size=128,
        vocab_size=1024,
        tied_embeddings=True,
        attention_bias=True,
    )
    small = Preset(name="tiny", folder="nowhere", dimensions=dims)
    normed = dims.model_copy(update={"qk_norm": True, "attention_bias": False, "tied_embeddings": False})
    return Sizes(
        (small, Preset(name="tiny-qwen3", folder="nowhere", dimensions=normed)),
        widths=(4, 2),
        prompt=12,
        shortest_prompt=8,
        tokens=16,
        every=5,
        sft_rows=(2, 3),
        sft_prompt=8,
        sft_answer=14,
        sft_steps=2,
        grpo_rows=(4,),
        grpo_tokens=12,
        ltpo_rows=2,
        ltpo_tokens=6,
        traced_from=4,
        traced=2,
        large_tokens=4,
        copied=2**20,
        product=64,
        noise_questions=4,
        noise_tokens=8,
    )
