"""Backup and restore: what an archive holds, and reading one that nobody vouches for."""
