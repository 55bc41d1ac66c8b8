"""One module per stage: each takes a config and a run folder and leaves the stage's output."""
