"""Why Byline does not run, in words for the person at the terminal."""


class CannotRun(Exception):
    """A reason not to start. Its first line names what to change."""
