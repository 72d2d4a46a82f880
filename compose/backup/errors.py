"""The error of a backup, with a text for the person at the terminal."""


class BackupError(Exception):
    """A backup can't be made or restored. The error's text says why, and what the user can do."""
