"""Whether an error says that memory ran out, on a GPU or a CPU. No torch: who asks may not have loaded it."""

CPU_ALLOCATOR = "DefaultCPUAllocator"  # torch raises a plain RuntimeError where the processor's memory runs out
CUBLAS = "CUBLAS_STATUS_ALLOC_FAILED"  # and where a library of CUDA finds no room for its workspace


def is_out_of_memory(error: BaseException) -> bool:
    """Whether less work at a time might do without this error."""
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__:
        return True
    return isinstance(error, RuntimeError) and any(name in str(error) for name in (CPU_ALLOCATOR, CUBLAS))
