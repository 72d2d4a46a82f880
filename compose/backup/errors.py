"""The error that ends a backup or a restore with a text for the person at the terminal."""


class BackupError(Exception):
    """A backup can't be made or restored. The error's text says why, and what the user can do."""
