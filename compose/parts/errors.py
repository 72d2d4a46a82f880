"""The error that ends ``make run`` with a text for the person at the terminal."""


class CannotRun(Exception):
    """Byline can't start. The first line of the text names the setting or the thing to change."""
