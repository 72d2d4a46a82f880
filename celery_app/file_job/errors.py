"""The error that stops a file job. Its text is one line for the user."""

from __future__ import annotations


class JobError(Exception):
    """The job can't begin or go on. The text says where, what is wrong, and what to do."""
