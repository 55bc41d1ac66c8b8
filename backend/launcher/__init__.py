"""Starts, watches and ends the processes of the service on one machine."""
