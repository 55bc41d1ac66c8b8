"""What the card is, and what it can do: memory bandwidth, products, and which attention kernels torch takes."""

import os
import platform
import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from memgen.contract.inheritance import inherited
from memgen.contract.presets import Dimensions
from memgen.doctor.card.bench import Bench, seconds_of

PACKAGES = ("torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors", "pydantic", "numpy", "triton")
KERNELS = (SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.CUDNN_ATTENTION, SDPBackend.MATH)


def run(bench: Bench) -> None:
    """The step."""
    bench.measure("environment", lambda: environment(bench.device))
    bench.measure("bandwidth", lambda: bandwidth(bench))
    bench.measure("products", lambda: products(bench))
    bench.measure("launch", lambda: launch(bench))
    bench.measure("attention", lambda: attention(bench, bench.sizes.models[0].dimensions))


def environment(device: torch.device) -> dict[str, Any]:
    """Versions, card, driver, memory, processor."""
    facts: dict[str, Any] = {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "cuda": torch.version.cuda,
        "packages": {name: _version(name) for name in PACKAGES},
    }
    if device.type == "cuda":
        card = torch.cuda.get_device_properties(0)
        free, total = torch.cuda.mem_get_info()
        facts |= {
            "card": card.name,
            "capability": f"{card.major}.{card.minor}",
            "multiprocessors": card.multi_processor_count,
            "memory_total_bytes": total,
            "memory_free_bytes": free,
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            "nvidia_smi": _nvidia_smi(),
        }
    return facts


def bandwidth(bench: Bench) -> dict[str, Any]:
    """Bytes read and written per second by a copy on the device, and to it from pageable and pinned memory."""
    source = torch.empty(bench.sizes.copied, dtype=torch.uint8, device=bench.device)
    target = torch.empty_like(source)
    target.copy_(source)
    took = seconds_of(bench.device, lambda: target.copy_(source), repeat=10)
    facts: dict[str, Any] = {"copy_gb_per_s": 2 * source.numel() / took / 1e9}
    small = torch.zeros(256, dtype=torch.int64)
    facts["small_copy_us"] = 1e6 * seconds_of(bench.device, lambda: small.to(bench.device), repeat=100)
    if bench.device.type == "cuda":
        host = torch.empty(2**28, dtype=torch.uint8)
        pinned = host.pin_memory()
        for name, memory in (("pageable", host), ("pinned", pinned)):
            work = _copies(memory, target[: len(memory)])
            facts[f"{name}_gb_per_s"] = len(memory) / seconds_of(bench.device, work, repeat=3) / 1e9
        scalar = torch.zeros((), device=bench.device)
        facts["item_us"] = 1e6 * seconds_of(bench.device, scalar.item, repeat=100)
    return facts


def products(bench: Bench) -> dict[str, Any]:
    """Tera floating point operations per second of square products, and of the narrow ones of a decode pass."""
    n, facts = bench.sizes.product, {}
    for dtype in (torch.bfloat16, torch.float32):
        left = torch.randn(n, n, device=bench.device, dtype=dtype)
        torch.mm(left, left)
        took = seconds_of(bench.device, _product(left, left), repeat=5)
        facts[f"{str(dtype)[6:]}_tflops"] = 2 * n**3 / took / 1e12
    dims = bench.sizes.models[0].dimensions
    weight = torch.randn(dims.hidden_size, dims.intermediate_size, device=bench.device, dtype=bench.dtype)
    for rows in (1, *sorted(bench.sizes.widths), 1024):
        narrow = torch.randn(rows, dims.hidden_size, device=bench.device, dtype=bench.dtype)
        torch.mm(narrow, weight)
        facts[f"mlp_{rows}_rows_us"] = 1e6 * seconds_of(bench.device, _product(narrow, weight), repeat=50)
    return facts


def launch(bench: Bench) -> dict[str, Any]:
    """Microseconds that Python needs to launch one small kernel, and one linear layer."""
    small = torch.zeros(8, device=bench.device)
    linear = torch.nn.Linear(64, 64, device=bench.device, dtype=bench.dtype)
    row = torch.zeros(1, 64, device=bench.device, dtype=bench.dtype)
    with torch.inference_mode():
        linear(row)
        return {
            "add_us": 1e6 * seconds_of(bench.device, lambda: small.add_(1), repeat=2000),
            "linear_us": 1e6 * seconds_of(bench.device, lambda: linear(row), repeat=2000),
        }


def attention(bench: Bench, dims: Dimensions) -> dict[str, Any]:
    """Milliseconds of the attention calls that packed rows make, by torch's kernels; None where a kernel refuses."""
    rows, slots, share = max(bench.sizes.widths), 2 * bench.sizes.tokens - 7, dims.num_heads // dims.num_kv_heads

    def tensor(heads: int, positions: int, dtype: torch.dtype) -> torch.Tensor:
        return torch.randn(rows, heads, positions, dims.head_dim, device=bench.device, dtype=dtype)

    facts: dict[str, Any] = {}
    for dtype in (bench.dtype, torch.float32):
        key, prompt = tensor(dims.num_kv_heads, slots, dtype), tensor(dims.num_heads, bench.sizes.prompt, dtype)
        short, one = tensor(dims.num_kv_heads, bench.sizes.prompt, dtype), tensor(dims.num_kv_heads, share, dtype)
        mask = torch.zeros(rows, 1, share, slots, device=bench.device, dtype=dtype)
        calls = {
            "prompt, causal, shared keys": (prompt, short, None, True),
            "decode, no mask": (one, key, None, False),
            "decode, mask": (one, key, mask, False),
        }
        for name, (query, keys, seen, causal) in calls.items():
            work = _attends(query, keys, seen, causal, query.shape[1] != keys.shape[1])
            facts[f"{name}, {str(dtype)[6:]}"] = {"chosen": _milliseconds(bench, work)} | {
                kernel.name.lower(): _milliseconds(bench, work, kernel) for kernel in KERNELS
            }
    return facts


def _attends(
    query: torch.Tensor, keys: torch.Tensor, mask: torch.Tensor | None, causal: bool, shared: bool
) -> Callable[[], object]:
    return lambda: scaled_dot_product_attention(query, keys, keys, attn_mask=mask, is_causal=causal, enable_gqa=shared)


def _milliseconds(bench: Bench, work: Callable[[], object], kernel: SDPBackend | None = None) -> float | None:
    try:
        with torch.inference_mode():
            if kernel is None:
                work()
                return 1e3 * seconds_of(bench.device, work, repeat=5)
            with sdpa_kernel(kernel):
                work()
                return 1e3 * seconds_of(bench.device, work, repeat=5)
    except RuntimeError:
        return None


def _copies(source: torch.Tensor, target: torch.Tensor) -> Callable[[], object]:
    return lambda: target.copy_(source)


def _product(left: torch.Tensor, right: torch.Tensor) -> Callable[[], object]:
    return lambda: torch.mm(left, right)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _nvidia_smi() -> str:
    fields = "name,driver_version,memory.total,memory.used,power.limit,clocks.max.sm,clocks.max.mem,mig.mode.current"
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv"]
    try:
        return subprocess.run(
            command, env=inherited("trainer", os.environ), capture_output=True, text=True, timeout=15, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
