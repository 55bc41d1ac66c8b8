"""Names in a result: GiB that a run took of its GPUs at most, and what was planned for it."""

PEAK, PLAN = "memory_peak_gib", "memory_plan_gib"
