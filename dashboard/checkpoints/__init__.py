"""What the list of checkpoints is drawn with."""
