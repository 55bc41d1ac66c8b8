"""What a checkpoint, an adapter or a folder of base weights may bring along: refused by name, nothing loaded."""

import copy
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from memgen.cli import app
from memgen.contract.errors import BadInput
from memgen.contract.manifest import file_hash, read_manifest
from memgen.contract.presets import get_preset
from memgen.contract.rundir import RunDir, checkpoint_dir
from memgen.model.authors_layout import import_authors, load_authors
from memgen.model.base import BaseModel, load_base
from memgen.model.checkpoint import load_checkpoint
from memgen.model.checkpoint_files import summary
from memgen.model.fetch import LocalModel
from memgen.model.memgen_model import MemGenModel
from memgen.model.older_layout import load_older
from memgen.monitor import Monitor
from tests.conftest import GOLDEN, TINY
from tests.memgen.stages.running import StopWhen, config_of, events, metric, run

BASE = GOLDEN / "tiny_base"
AUTHORS = GOLDEN / "a" / "checkpoint"
LAYER = "model.layers.0.self_attn.q_proj.weight"
Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def loaded() -> BaseModel:
    return load_base(LocalModel(BASE, "golden"), "float32")


@pytest.fixture
def base(loaded: BaseModel) -> BaseModel:
    """A base of the test's own: adapters are put into it."""
    return replace(loaded, model=copy.deepcopy(loaded.model))


def check(caught: BadInput, code: str, said: str) -> None:
    """One sentence with a way out that names the thing."""
    assert caught.code == code, caught
    assert said in caught.message, caught.message
    assert caught.way_out
    assert len(str(caught)) < 2000
    assert "\n" not in str(caught)


# --- a folder of base weights


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    return Path(shutil.copytree(BASE, tmp_path / "base"))


def change_weights(change: Callable[[Tensors], Tensors]) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        tensors = change(load_file(folder / "model.safetensors"))
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})

    return harm


def change_json(name: str, **fields: object) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        path = folder / name
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(known | fields))

    return harm


def write(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(data)


def shard(*names: object) -> Callable[[Path], None]:
    """Move the weights elsewhere and let an index name these files for the first tensors."""

    def harm(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder.parent / "stolen.safetensors")
        index = {"metadata": {}, "weight_map": {f"tensor {n}": name for n, name in enumerate(names)}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return harm


def poke(key: str, value: float) -> Callable[[Tensors], Tensors]:
    def change(tensors: Tensors) -> Tensors:
        changed = tensors[key].clone()
        changed.view(-1)[7] = value
        return tensors | {key: changed}

    return change


def pipe(name: str) -> Callable[[Path], None]:
    """A pipe that nobody writes to, in the place of a file: opening it would never end."""

    def harm(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return harm


HOSTILE_WEIGHTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a tensor is missing": (change_weights(lambda t: {k: v for k, v in t.items() if k != LAYER}), LAYER),
    "the head is missing": (change_weights(lambda t: {k: v for k, v in t.items() if "lm_head" not in k}), "lm_head"),
    "all are missing": (change_weights(lambda t: {"x": torch.ones(1)}), "describes 242,496 numbers"),
    "wrapped by peft": (change_weights(lambda t: {f"base_model.model.{k}": v for k, v in t.items()}), "PEFT"),
    "a tensor too many": (change_weights(lambda t: t | {"bonus": torch.ones(1)}), "bonus"),
    "another shape": (change_weights(lambda t: t | {LAYER: torch.ones(3, 3)}), "has shape (3, 3) and not (64, 64)"),
    "integers": (change_weights(lambda t: t | {LAYER: t[LAYER].to(torch.int8)}), f"{LAYER} (I8)"),
    "NaN": (change_weights(poke(LAYER, float("nan"))), LAYER),
    "infinite": (change_weights(poke("lm_head.weight", float("inf"))), "lm_head.weight"),
    "minus infinite": (change_weights(poke("model.norm.weight", -float("inf"))), "model.norm.weight"),
    "a cut file": (lambda folder: os.truncate(folder / "model.safetensors", 5000), "can't be read"),
    "an empty file": (lambda folder: os.truncate(folder / "model.safetensors", 0), "can't be read"),
    "a header of 2**60 bytes": (write("model.safetensors", (2**60).to_bytes(8, "little")), "can't be read"),
    "weights are a pipe": (pipe("model.safetensors"), "model.safetensors: it is no file"),
    "an index beside the folder": (shard("../stolen.safetensors"), "no file of weights in the folder"),
    "an index to a device": (shard("/dev/zero"), "no file of weights in the folder"),
    "an index with NUL": (shard("a\0.safetensors"), "no file of weights in the folder"),
    "an index of numbers": (shard(1), "no file of weights in the folder"),
    "an index of pickles": (shard("pytorch_model.bin"), "no file of weights in the folder"),
    "an index of lists": (shard(["a"]), "no file of weights in the folder"),
    "an index of missing files": (shard("a.safetensors", "b.safetensors"), "2 files of weights are missing"),
    "an adapter": (change_json("adapter_config.json", base_model_name_or_path="/etc"), "adapter"),
    "code of its own": (change_json("config.json", auto_map={"AutoModelForCausalLM": "x.Y"}), "auto_map"),
    "sizes without end": (change_json("config.json", hidden_size=2**20, head_dim=2**15), "numbers, and its files"),
    "layers without end": (change_json("config.json", num_hidden_layers=10**9), "a size is not that of a model"),
    "words for sizes": (change_json("config.json", vocab_size="\x00"), "a size is not that of a model"),
    "code of its tokenizer": (change_json("tokenizer_config.json", auto_map={"AutoTokenizer": "x.Y"}), "auto_map"),
    "tokenizer is a pipe": (pipe("tokenizer.json"), "tokenizer.json: it is no file"),
    "quantised": (change_json("config.json", quantization_config={"quant_method": "fp8"}), "quantised"),
    "an unknown kind": (change_json("config.json", model_type="nothing"), "can't be"),
    "no layers": (change_json("config.json", num_hidden_layers=0), "can't be"),
    "fewer layers": (
        change_json("config.json", num_hidden_layers=2, layer_types=["full_attention"] * 2), "no use for",
    ),
    "words for numbers": (change_json("config.json", hidden_size="wide"), "a size is not that of a model"),
    "config is a list": (write("config.json", b"[]"), "config.json: it holds no JSON object"),
    "config is deep": (write("config.json", b"[" * 100_000), "config.json: it is not JSON"),
    "config is long": (write("config.json", b" " * 2**21), "config.json: it is longer than"),
    "config is a pipe": (pipe("config.json"), "config.json: it is no file"),
    "config is half a pair": (write("config.json", b'{"model_type": "\\ud800"}'), "config.json: it is not JSON"),
    "tokenizer is no JSON": (write("tokenizer.json", b"{"), "tokenizer"),
    "tokenizer is deep": (write("tokenizer.json", b"[" * 100_000), "tokenizer"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE_WEIGHTS)
def test_base_weights_that_are_not_whole_are_refused_by_name(weights: Path, case: str) -> None:
    harm, said = HOSTILE_WEIGHTS[case]
    harm(weights)
    with pytest.raises(BadInput) as caught:
        load_base(LocalModel(weights, "hostile"), "float32")
    check(caught.value, "weights_unusable", said)


def test_tied_model_without_a_head_of_its_own_is_whole(weights: Path) -> None:
    change_json("config.json", tie_word_embeddings=True)(weights)
    change_weights(lambda tensors: {k: v for k, v in tensors.items() if "lm_head" not in k})(weights)
    model = load_base(LocalModel(weights, "tied"), "float32").model
    assert torch.equal(model.get_output_embeddings().weight, model.get_input_embeddings().weight)


def test_weights_in_several_files_are_loaded(weights: Path, base: BaseModel) -> None:
    tensors = load_file(weights / "model.safetensors")
    places = {key: f"part-{number % 2}.safetensors" for number, key in enumerate(tensors)}
    for name in set(places.values()):
        part = {key: value for key, value in tensors.items() if places[key] == name}
        save_file(part, weights / name, metadata={"format": "pt"})
    (weights / "model.safetensors").unlink()
    (weights / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    model = load_base(LocalModel(weights, "sharded"), "float32").model
    assert torch.equal(model.get_output_embeddings().weight, base.model.get_output_embeddings().weight)


def test_padding_token_without_an_embedding_is_replaced_by_the_end_token(weights: Path) -> None:
    change_json("tokenizer_config.json", pad_token="<extra>", extra_special_tokens=["<extra>"])(weights)
    loaded = load_base(LocalModel(weights, "padded"), "float32")
    assert loaded.pad_id < loaded.model.get_input_embeddings().num_embeddings


# --- our own layout


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden checkpoint `a` in our layout."""
    folder = tmp_path_factory.mktemp("whole") / "checkpoint"
    preset = get_preset(TINY, _presets(folder.parent))
    import_authors(AUTHORS, preset, folder, folder.parent, Monitor(None))
    return folder


def _presets(folder: Path) -> Path:
    path = folder / "presets.json"
    path.write_text(json.dumps([{"name": TINY, "folder": str(BASE)}]))
    return path


@pytest.fixture
def ours(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "ours"))


def change_manifest(**fields: object) -> Callable[[Path], None]:
    return change_json("manifest.json", **fields)


def with_latents(**numbers: object) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        known = json.loads((folder / "manifest.json").read_text())["latents"]
        merged = {name: value for name, value in (known | numbers).items() if value is not None}
        change_manifest(latents=merged)(folder)

    return harm


def with_lora(**fields: object) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        lora = json.loads((folder / "manifest.json").read_text())["lora"]
        change_manifest(lora=lora | {"weaver": lora["weaver"] | fields})(folder)

    return harm


HOSTILE_MANIFESTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no JSON": (write("manifest.json", b"{"), "not JSON"),
    "empty": (write("manifest.json", b""), "not JSON"),
    "a list": (write("manifest.json", b"[]"), "manifest.json"),
    "deep": (write("manifest.json", b'{"a":' * 5000), "nested too deep"),
    "long": (write("manifest.json", b'"' + b"x" * 2**21 + b'"'), "longer than"),
    "a number of 5,000 digits": (write("manifest.json", b'{"step": ' + b"9" * 5000 + b"}"), "not JSON"),
    "half a pair": (write("manifest.json", b'{"kind": "\\ud800"}'), "not JSON"),
    "a pipe": (pipe("manifest.json"), "it is no file"),
    "a folder": (lambda f: ((f / "manifest.json").unlink(), (f / "manifest.json").mkdir()), "it is no file"),
    "unknown kind": (change_manifest(kind="../weaver"), "kind"),
    "step of 2**70": (change_manifest(step=2**70), "step"),
    "step below 0": (change_manifest(step=-1), "step"),
    "unknown key": (change_manifest(exec="rm"), "exec"),
    "escape sequence": (change_manifest(base_model="\x1b[2J"), "base_model"),
    "text that turns around": (change_manifest(stage="a\u202eb"), "stage"),
    "long name": (change_manifest(parent="x" * 501), "parent"),
    "file outside": (change_manifest(files={"../x": "0" * 64}), "files"),
    "file from the root": (change_manifest(files={"/etc/passwd": "0" * 64}), "files"),
    "file with NUL": (change_manifest(files={"a\0b": "0" * 64}), "files"),
    "file is the folder": (change_manifest(files={".": "0" * 64}), "files"),
    "file above": (change_manifest(files={"..": "0" * 64}), "files"),
    "file without name": (change_manifest(files={"": "0" * 64}), "files"),
    "hash that is none": (change_manifest(files={"parts.safetensors": "x"}), "files"),
    "optimizer that is none": (change_manifest(optimizer="yes"), "optimizer"),
    "latents missing": (with_latents(prompt_latents_len=None), "it lacks prompt_latents_len"),
    "latents unknown": (with_latents(depth=3), "depth is unknown"),
    "latents without end": (with_latents(prompt_latents_len=2**40), "prompt_latents_len is 1099511627776"),
    "latents below 0": (with_latents(inference_latents_len=-1), "inference_latents_len is -1"),
    "no latents": (change_manifest(latents={}), "latents"),
    "rank without end": (with_lora(r=2**40), "lora.weaver.r"),
    "rank 0": (with_lora(r=0), "lora.weaver.r"),
    "dropout of 1": (with_lora(lora_dropout=1), "lora.weaver.lora_dropout"),
    "dropout that is no number": (with_lora(lora_dropout="NaN"), "lora.weaver.lora_dropout"),
    "targets are a pattern": (with_lora(target_modules=["(a+)+$"]), "target_modules"),
    "targets everywhere": (with_lora(target_modules="all-linear"), "target_modules"),
    "no targets": (with_lora(target_modules=[]), "target_modules"),
    "targets that the base has not": (with_lora(target_modules=["nothing"]), "do not fit this base"),
    "no LoRA of one": (change_manifest(lora={}), "no LoRA settings of the weaver"),
    "another adapter": (change_manifest(lora={"evil": {}}), "lora"),
}


@pytest.mark.parametrize("case", HOSTILE_MANIFESTS)
def test_hostile_manifest_is_refused_by_what_is_wrong_in_it(ours: Path, base: BaseModel, case: str) -> None:
    harm, said = HOSTILE_MANIFESTS[case]
    name = read_manifest(ours).base_model
    harm(ours)
    with pytest.raises(BadInput) as caught:
        load_checkpoint(ours, base, name)
    check(caught.value, "checkpoint_damaged", said)


def change_tensors(file: str, change: Callable[[Tensors], Tensors]) -> Callable[[Path], None]:
    """Other tensors, and their hash in the manifest."""

    def harm(folder: Path) -> None:
        save_file(change(load_file(folder / file)), folder / file)
        files = json.loads((folder / "manifest.json").read_text())["files"]
        change_manifest(files=files | {file: file_hash(folder / file)})(folder)

    return harm


PARTS, QUERIES, HEAD = "parts.safetensors", "weaver.prompt_query_latents", "trigger_head.weight"
HOSTILE_TENSORS: dict[str, tuple[Callable[[Path], object], str]] = {
    "NaN": (change_tensors(PARTS, poke(QUERIES, float("nan"))), f"{QUERIES} holds NaN"),
    "infinite": (change_tensors(PARTS, poke(HEAD, float("inf"))), f"{HEAD} holds NaN"),
    "integers": (change_tensors(PARTS, lambda t: t | {HEAD: t[HEAD].to(torch.int32)}), "no plain tensor of floats"),
    "truth values": (change_tensors(PARTS, lambda t: t | {HEAD: t[HEAD] > 0}), "no plain tensor of floats"),
    "complex": (change_tensors(PARTS, lambda t: t | {HEAD: t[HEAD].to(torch.complex64)}), "no plain tensor of floats"),
    "another shape": (change_tensors(PARTS, lambda t: t | {HEAD: torch.ones(64, 2)}), "has shape (64, 2)"),
    "a scalar": (change_tensors(PARTS, lambda t: t | {HEAD: torch.tensor(1.0)}), "has shape ()"),
    "nothing": (change_tensors(PARTS, lambda _: {}), "lacks the key"),
    "a link to a pipe": (
        lambda f: ((f / PARTS).unlink(), os.mkfifo(f.parent / "pipe"), (f / PARTS).symlink_to(f.parent / "pipe")),
        "the file is missing",
    ),
}


@pytest.mark.parametrize("case", HOSTILE_TENSORS)
def test_hostile_tensors_are_refused_by_file_and_key(ours: Path, base: BaseModel, case: str) -> None:
    harm, said = HOSTILE_TENSORS[case]
    harm(ours)
    with pytest.raises(BadInput) as caught:
        load_checkpoint(ours, base, read_manifest(ours).base_model)
    check(caught.value, "checkpoint_damaged", said)


def test_failed_load_leaves_the_model_as_it_was(ours: Path, base: BaseModel) -> None:
    from memgen.model.checkpoint import restore

    model = load_checkpoint(ours, base, read_manifest(ours).base_model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    change_tensors("trigger.safetensors", lambda t: {k: v * float("nan") for k, v in t.items()})(ours)
    with pytest.raises(BadInput, match=r"trigger\.safetensors"):
        restore(model, ours)
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())


def test_summary_of_an_adapter_without_matrices_is_a_summary(ours: Path) -> None:
    change_tensors("weaver.safetensors", lambda _: {"x": torch.ones(1)})(ours)
    assert "  lora_A: 1 matrices, norms 0 to 0" in summary(ours)


@pytest.mark.parametrize("command", [["inspect"], ["export-checkpoint", "--preset", TINY, "--out", "out"]])
def test_command_line_says_in_a_line_what_is_wrong(home: Path, ours: Path, command: list[str]) -> None:
    write("manifest.json", b'{"a":' * 5000)(ours)
    done = CliRunner().invoke(app, [command[0], str(ours), *command[1:]])
    assert done.exit_code == 2
    assert "nested too deep" in done.output
    assert "Traceback" not in done.output


# --- the authors' layout and the older one


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return Path(shutil.copytree(AUTHORS, tmp_path / "theirs"))


WEAVER = "weaver/weaver/"


def pickle(name: str, make: Callable[[Any], Any]) -> Callable[[Path], None]:
    def harm(folder: Path) -> None:
        path = folder / name
        torch.save(make(torch.load(path, weights_only=True) if path.exists() else None), path)

    return harm


def holds_itself(state: dict[str, Any]) -> dict[str, Any]:
    state["again"] = state
    return state


def wide_and_deep(_: object) -> dict[str, Any]:
    """Ten levels of a hundred names for the same thing: 100**10 tensors, in a file of some kilobytes."""
    inner: Any = torch.ones(1)
    for _level in range(7):
        inner = {f"k{number}": inner for number in range(100)}
    return {"x": inner}


class Trap:
    """Would run a command when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch ran",)


def pack(path: Path) -> None:
    """Write the same with its tensors packed, as a file of some kilobytes that takes all memory has them."""
    with ZipFile(path) as archive:
        members = {one.filename: archive.read(one) for one in archive.infolist()}
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def as_bin(make: Callable[[Tensors], Any]) -> Callable[[Path], None]:
    """The weaver's adapter as a pickle of something else."""

    def harm(folder: Path) -> None:
        path = folder / WEAVER / "adapter_model.safetensors"
        torch.save(make(load_file(path)), path.with_name("adapter_model.bin"))
        path.unlink()

    return harm


LORA = "model.layers.0.self_attn.q_proj.lora_A.weight"
HOSTILE_LAYOUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "adapter is no safetensors": (write(f"{WEAVER}adapter_model.safetensors", b"\x01" * 100), "can't be read"),
    "adapter is empty": (write(f"{WEAVER}adapter_model.safetensors", b""), "can't be read"),
    "adapter's header is deep": (
        write(f"{WEAVER}adapter_model.safetensors", (5000).to_bytes(8, "little") + b"[" * 5000), "can't be read",
    ),
    "adapter is a pipe": (pipe(f"{WEAVER}adapter_model.safetensors"), "neither adapter_model.safetensors nor"),
    "adapter holds itself": (as_bin(holds_itself), "levels deep"),
    "adapter is a list": (as_bin(lambda t: list(t.values())), "no tensors by name"),
    "adapter is one tensor": (as_bin(lambda _: torch.ones(1)), "no tensors by name"),
    "adapter holds words": (as_bin(lambda t: t | {"x": "y"}), "x is no tensor"),
    "adapter is packed": (
        lambda f: (as_bin(lambda t: t)(f), pack(f / WEAVER / "adapter_model.bin")), "can't be read",
    ),
    "adapter holds a command": (as_bin(lambda t: t | {"x": Trap()}), "can't be read"),
    "adapter is sparse": (as_bin(lambda t: {k: v.to_sparse() for k, v in t.items()}), "no plain tensor"),
    "adapter is nowhere": (as_bin(lambda t: {k: v.to("meta") for k, v in t.items()}), "no plain tensor"),
    "adapter is NaN": (as_bin(lambda t: {k: v * float("nan") for k, v in t.items()}), "holds NaN"),
    "adapter is text": (
        lambda f: (as_bin(lambda t: t)(f), write(f"{WEAVER}adapter_model.bin", b"no pickle")(f)), "can't be read",
    ),
    "config is a list": (write(f"{WEAVER}adapter_config.json", b"[1]"), "no JSON object"),
    "config is a number": (write(f"{WEAVER}adapter_config.json", b"7"), "no JSON object"),
    "config is deep": (write(f"{WEAVER}adapter_config.json", b'{"r":' * 9999), "nested too deep"),
    "config is long": (write(f"{WEAVER}adapter_config.json", b" " * 2**21), "longer than"),
    "config is a pipe": (pipe(f"{WEAVER}adapter_config.json"), "it is no file"),
    "rank is a word": (change_json(f"{WEAVER}adapter_config.json", r="many"), "r: "),
    "rank has no end": (change_json(f"{WEAVER}adapter_config.json", r=2**62), "r: "),
    "rank is null": (change_json(f"{WEAVER}adapter_config.json", r=None), "r: "),
    "targets are a pattern": (change_json(f"{WEAVER}adapter_config.json", target_modules="(x+x+)+y"), "target_modules"),
    "targets are null": (change_json(f"{WEAVER}adapter_config.json", target_modules=None), "target_modules"),
    "other targets": (change_json(f"{WEAVER}adapter_config.json", target_modules=["nothing"]), "do not fit this base"),
    "another scale": (change_json(f"{WEAVER}adapter_config.json", use_rslora=True), "use_rslora"),
    "DoRA": (change_json(f"{WEAVER}adapter_config.json", use_dora=True), "use_dora"),
    "ranks of their own": (change_json(f"{WEAVER}adapter_config.json", rank_pattern={"q_proj": 2}), "rank_pattern"),
    "another method": (change_json(f"{WEAVER}adapter_config.json", peft_type="IA3"), "peft_type"),
    "biases": (change_json(f"{WEAVER}adapter_config.json", bias="all"), "bias"),
    "settings are words": (change_json("config.json", prompt_latents_len="eight"), "prompt_latents_len"),
    "settings are null": (change_json("config.json", prompt_latents_len=None), "prompt_latents_len"),
    "settings have no end": (change_json("config.json", inference_latents_len=2**50), "inference_latents_len"),
    "settings are deep": (write("config.json", b"[" * 9999), "nested too deep"),
    "settings are a list": (write("config.json", b"[]"), "no JSON object"),
    "parts hold themselves": (pickle("weaver.bin", holds_itself), "levels deep"),
    "parts are wide": (pickle("projs.bin", wide_and_deep), "more than 100,000 tensors"),
    "parts are NaN": (pickle("projs.bin", lambda s: {k: {i: v * float("nan") for i, v in one.items()}
                                                     for k, one in s.items()}), "holds NaN"),
    "parts are a pipe": (pipe("projs.bin"), "the file is missing"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE_LAYOUTS)
def test_hostile_checkpoint_of_the_authors_layout_is_refused_by_file(
    theirs: Path, base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    monkeypatch.chdir(tmp_path)
    harm, said = HOSTILE_LAYOUTS[case]
    harm(theirs)
    with pytest.raises(BadInput) as caught:
        load_authors(theirs, base)
    check(caught.value, "checkpoint_damaged", said)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"prompt_query_latents": "x"}, "is no tensor"),
        ({"prompt_query_latents": torch.ones(2000, 64), "inference_query_latents": torch.ones(8, 64)}, "2000 latents"),
        ({"prompt_query_latents": torch.ones(0, 64), "inference_query_latents": torch.ones(8, 64)}, "0 latents"),
        ({"prompt_query_latents": torch.tensor(1.0)}, "of shape (K, D)"),
        ([], "no tensors by name"),
    ],
)
def test_hostile_checkpoint_of_the_older_layout_is_refused(
    tmp_path: Path, base: BaseModel, state: object, said: str
) -> None:
    torch.save(state, tmp_path / "projections.pt")
    with pytest.raises(BadInput) as caught:
        load_older(tmp_path, base)
    check(caught.value, "checkpoint_damaged", said)


# --- the optimizer's state of a checkpoint that a training goes on from


@pytest.fixture
def stopped(home: Path, tmp_path: Path) -> Path:
    """A weaver training that was stopped after its second step."""
    folder = tmp_path / "stopped"
    config = config_of(stage="weaver_sft", num_questions=8, batch_size=2, eval_questions=0)
    from memgen.stop import Stopped

    stop = StopWhen(lambda: (folder / "events.jsonl").exists() and len(metric(folder, "train/loss")) >= 2)
    with pytest.raises(Stopped):
        run(home, folder, config, stop=stop)
    return folder


def replace_optimizer(folder: Path, change: Callable[[Any], Any]) -> None:
    path = folder / "optimizer.pt"
    torch.save(change(torch.load(path, weights_only=True)), path)
    change_manifest(optimizer=file_hash(path))(folder)


def other_moments(state: dict[str, Any], value: Callable[[torch.Tensor], torch.Tensor]) -> dict[str, Any]:
    for one in state["optimizer"]["state"].values():
        one["exp_avg"] = value(one["exp_avg"])
    return state


def test_state_of_another_optimizer_is_refused_with_a_sentence(home: Path, stopped: Path, tmp_path: Path) -> None:
    config = config_of(stage="weaver_sft", num_questions=8, batch_size=2, eval_questions=0)
    saved = RunDir(stopped).checkpoint(RunDir(stopped).saved_steps()[-1])
    kept = Path(shutil.copytree(saved, tmp_path / "kept"))
    changes: dict[str, Callable[[Any], Any]] = {
        "it is not of this training": lambda s: s | {"optimizer": {"state": {}, "param_groups": []}},
        "not of this training (KeyError": lambda s: {"other": 1},
        "not of this training (AttributeError": lambda s: s | {"notes": None},
        "moments of a parameter, or has some of another shape": lambda s: other_moments(s, lambda _: torch.ones(3)),
        "its moments are not finite": lambda s: other_moments(s, lambda v: v * float("nan")),
    }
    for number, (said, change) in enumerate(changes.items()):
        shutil.rmtree(saved)
        shutil.copytree(kept, saved)
        replace_optimizer(saved, change)
        with pytest.raises(BadInput) as caught:
            run(home, tmp_path / f"again-{number}", config, resume=stopped)
        check(caught.value, "checkpoint_damaged", said)


@pytest.mark.parametrize("content", [b"no pickle", b""])
def test_optimizer_that_can_not_be_read_makes_the_training_start_before_it(
    home: Path, stopped: Path, tmp_path: Path, content: bytes
) -> None:
    config = config_of(stage="weaver_sft", num_questions=8, batch_size=2, eval_questions=0)
    for step in RunDir(stopped).saved_steps():
        folder = RunDir(stopped).checkpoint(step)
        (folder / "optimizer.pt").write_bytes(content)
        change_manifest(optimizer=file_hash(folder / "optimizer.pt"))(folder)
    run(home, tmp_path / "again", config.model_copy(update={"max_steps": 1}), resume=_with_config(stopped, 1))
    assert "can't be used" in events(tmp_path / "again", "warning")[0]["message"]


def test_checkpoint_under_the_name_of_another_step_is_not_gone_on_from(
    home: Path, stopped: Path, tmp_path: Path
) -> None:
    config = config_of(stage="weaver_sft", num_questions=8, batch_size=2, eval_questions=0)
    run_dir = RunDir(stopped)
    run_dir.checkpoint(run_dir.saved_steps()[-1]).rename(run_dir.checkpoint(3))
    run(home, tmp_path / "again", config.model_copy(update={"max_steps": 1}), resume=_with_config(stopped, 1))
    assert "it is that of step 2" in events(tmp_path / "again", "warning")[0]["message"]


def _with_config(folder: Path, max_steps: int) -> Path:
    """The folder as that of a run with other steps, so that a test may be short."""
    from memgen.contract.config import config_hash

    config = config_of(stage="weaver_sft", num_questions=8, batch_size=2, eval_questions=0, max_steps=max_steps)
    change_json("environment.json", config_hash=config_hash(config))(folder)
    return folder


def test_environment_that_can_not_be_read_ends_a_resume_with_a_sentence(
    home: Path, stopped: Path, tmp_path: Path
) -> None:
    config = config_of(stage="weaver_sft", num_questions=8, batch_size=2, eval_questions=0)
    for number, data in enumerate((b"", b"[]", b"[" * 9999, b'{"model": "\\ud800"}')):
        (stopped / "environment.json").write_bytes(data)
        with pytest.raises(BadInput) as caught:
            run(home, tmp_path / f"again-{number}", config, resume=stopped)
        check(caught.value, "resume_damaged", "environment.json")


def test_folders_that_only_look_like_checkpoints_are_none(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path, "weaver_sft")
    for name in ("step-7", "step-x", "step-", "step-1e3", "step--1", "step-٣", "step-" + "9" * 200, "step-8 "):
        run_dir.checkpoint(0).parent.joinpath(name).mkdir(parents=True)
    (run_dir.checkpoints / "step-9").write_text("no folder")
    assert run_dir.saved_steps() == [7]


@pytest.mark.parametrize("name", ["x" * 500, "a\0b", "../" * 100, "", ".", "٢", "1" * 400, "/etc/passwd"])
def test_name_that_is_no_checkpoint_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        checkpoint_dir(RunDir(tmp_path / "run"), tmp_path, name)
    check(caught.value, "no_such_checkpoint", "no such checkpoint")


def test_model_that_the_checks_let_through_is_the_same_as_before(base: BaseModel) -> None:
    loaded = load_authors(AUTHORS, base)
    assert (loaded.loaded, loaded.expected) == (38, 38)
    assert isinstance(loaded.model, MemGenModel)
