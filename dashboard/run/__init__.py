"""The pages of runs: the list, and one run's header, tabs and links."""
