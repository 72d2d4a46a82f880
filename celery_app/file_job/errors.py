"""The error that ends a file job before its time. Its text is one line for the user."""

from __future__ import annotations


class JobError(Exception):
    """The job can't begin or can't go on: the text says where, what is wrong, and what to do."""
