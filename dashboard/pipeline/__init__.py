"""The pages of pipelines: the list, and one pipeline's steps and actions."""
