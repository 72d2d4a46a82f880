"""The error that ends an installation with a text for the person at the terminal."""


class CannotInstall(Exception):
    """An environment can't be made. The error's text says why, and what the user can do."""
