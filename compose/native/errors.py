"""Why Byline does not run, in words for the person at the terminal."""

from __future__ import annotations


class CannotRun(Exception):
    """A reason not to start, or to stop. One line, which names what to change."""


class PartDied(CannotRun):
    """A part ended though nobody asked it to. Its last words follow the first line."""


class NotStarted(CannotRun):
    """A part can't be started at present."""
