"""The error that ends ``make run`` with a text for the person at the terminal."""


class CannotRun(Exception):
    """Byline can't start. The text's first line names the setting or the thing to change."""
