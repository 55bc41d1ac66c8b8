"""Whether the pipeline learns: the demo model on easy word problems, with controls, on a CPU."""
