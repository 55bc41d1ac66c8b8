"""The login in front of every page."""
