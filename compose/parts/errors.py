"""The error that ends ``make run`` with a text for the person at the terminal."""


class CannotRun(Exception):
    """Byline can't start. The first line of the error's text names what the user has to change."""
