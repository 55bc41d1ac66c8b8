"""`memgen-studio doctor`: what the core's doctor sees, and the home, Redis, ports and services of this machine."""
