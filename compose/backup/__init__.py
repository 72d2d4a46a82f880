"""Backs up the state folder of ``make run`` into one file, and restores such a file."""
