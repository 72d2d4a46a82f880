"""Makes virtual environments for the Makefile. Runs on plain Python, without any package."""
