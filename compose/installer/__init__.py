"""Makes virtual environments for the Makefile. Needs only Python, because there is none yet."""
