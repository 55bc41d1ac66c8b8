"""`memgen doctor`: what this machine has and lacks for a run, and what to do. Only `card/` imports torch."""
