"""The page that launches runs and pipelines: its form, checks and addresses."""
