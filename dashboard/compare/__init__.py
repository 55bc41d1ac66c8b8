"""The page that compares evaluations."""
