"""`python -m memgen`."""

from memgen.cli import main

main()
