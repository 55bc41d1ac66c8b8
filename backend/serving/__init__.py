"""What each HTTP service of ours stands on, the dashboard's included: its settings, its hosts, its limits."""
