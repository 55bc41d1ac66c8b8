"""`python -m backend`."""

from backend.commands.cli import main

main()
