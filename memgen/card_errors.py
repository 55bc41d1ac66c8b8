"""What an exception says of memory and of the card: the code of a failure, read from types and texts, without torch.

A card that fails, a driver that is too old and a program's own mistake all come as one type of error; only CUDA's
number or its words tell them apart.
"""

from collections.abc import Iterator

OUT_OF_MEMORY, CARD_FAILED, ERROR = "out_of_memory", "card_failed", "error"

# numbers of cudaError_t
_MEMORY = {2}
_CARD = {
    3,  # initialization error
    35,  # insufficient driver
    46,  # all devices are busy or unavailable
    100, 101,  # no device, invalid device
    127,  # the runtime could not start
    201,  # device uninitialized
    214, 220,  # uncorrectable errors of memory, of NVLink
    714,  # hardware stack error
    802, 803, 804,  # system not ready, driver mismatch, no forward compatibility
    999,  # unknown, as a card says that has fallen off the bus
}  # fmt: skip

_MEMORY_WORDS = (
    "out of memory", "can't allocate memory", "not enough memory", "Cannot allocate memory", "ALLOC_FAILED",
)  # fmt: skip
_CARD_WORDS = (
    "uncorrectable", "unknown error", "no CUDA-capable device", "busy or unavailable", "driver version is insufficient",
    "driver on your system is too old", "initialization error", "invalid device ordinal", "hardware stack error",
    "system not yet initialized", "system has unsupported display driver", "GPU is lost", "device is lost",
)  # fmt: skip


def failure_code(error: BaseException) -> str:
    """`out_of_memory`, `card_failed` (the card or its driver, not the program), or `error`.

    An error that was raised because of another counts as that one: loading weights turns all of them into its own.
    """
    codes = [_code(one) for one in _chain(error)]
    return next((code for code in codes if code != ERROR), ERROR)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _code(error: BaseException) -> str:
    name, text = type(error).__name__, str(error)
    if isinstance(error, MemoryError) or "OutOfMemory" in name:
        return OUT_OF_MEMORY
    if name != "AcceleratorError" and not (isinstance(error, RuntimeError) and _is_of_a_device(text)):
        return ERROR
    number = getattr(error, "error_code", None)
    if number in _MEMORY or _has(text, _MEMORY_WORDS):
        return OUT_OF_MEMORY
    return CARD_FAILED if number in _CARD or _has(text, _CARD_WORDS) else ERROR


def _is_of_a_device(text: str) -> bool:
    """Whether a RuntimeError comes from CUDA or from an allocator; other errors may hold the same words."""
    return any(word in text for word in ("CUDA", "CUBLAS", "cuDNN", "NVIDIA driver", "DefaultCPUAllocator"))


def _has(text: str, words: tuple[str, ...]) -> bool:
    return any(word.lower() in text.lower() for word in words)
