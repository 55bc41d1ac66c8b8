"""Answers single questions with checkpoints that stay loaded."""
