"""One run on several GPUs: processes that hold the whole model each and share the rows (data parallel)."""
