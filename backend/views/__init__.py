"""Rows as the API shows them; the one room that builds replies."""
