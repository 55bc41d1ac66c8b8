"""What every run tells of its machine while it works, by the names of its metrics, and how they are shown."""

from memgen.contract.stage import Panel

GPU_BUSY, GPU_MEMORY, GPU_POWER, MEMORY = (
    "system/gpu_busy", "system/gpu_memory", "system/gpu_power", "system/memory",
)  # fmt: skip
SHARES = frozenset({GPU_BUSY})
"""Those between 0 and 1 that read best in percent."""
PANELS = (
    (
        Panel("GPU at work", (GPU_BUSY,), "Share of the last moments in which the GPU of the main process computed"),
        Panel("GPU memory", (GPU_MEMORY,), "In use on the GPU of the main process, by all programs, in GiB"),
        Panel("Power", (GPU_POWER,), "Drawn by the GPU of the main process, in watts"),
    ),
    (
        Panel("Memory", (MEMORY,), "Of the main process outside of the GPU, in GiB"),
        Panel("Seconds of a step", ("train/step_seconds",), "Of each step, its rollout included"),
        Panel("Tokens per second", ("eval/tokens_per_second",), "Answered by all processes, since the attempt began"),
    ),
)
"""Rows of charts."""
