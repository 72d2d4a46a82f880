"""Remembers which HTTP requests a thread or a coroutine works for, so that log lines name them.

Any Celery client can write the ids in a task's header, so some may be invalid. This module keeps
all ids unchanged, but log lines name only valid ids.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

#: Maximum number of characters that an id may have.
MAX_LENGTH = 128
#: Pattern of a valid id. It excludes line breaks and spaces, so an id can't end a header or a log
#: line.
PATTERN = rf"[A-Za-z0-9._-]{{1,{MAX_LENGTH}}}"
#: Maximum number of ids that a log line names.
MAX_SHOWN = 4

_ID = re.compile(PATTERN)
_present: ContextVar[Sequence[object]] = ContextVar("request_ids", default=())


class ShownIds(NamedTuple):
    """The request ids that a log line names, and the number of ids that it leaves out."""

    ids: list[str]
    #: Number of valid ids that the log line leaves out.
    more: int


def is_valid(id: object) -> bool:
    """Returns whether it is safe to write ``id`` into a header or a log line."""
    return isinstance(id, str) and _ID.fullmatch(id) is not None


def set_present(id: str) -> None:
    """Makes later log lines of this thread or coroutine name the request ``id``, and no other."""
    _present.set((id,))


def present() -> str:
    """Returns the id of the request that this thread or coroutine handles; empty if none."""
    ids = _present.get()
    return str(ids[0]) if ids else ""


@contextmanager
def about(ids: Sequence[object]) -> Iterator[None]:
    """Makes log lines in the ``with`` block name the requests ``ids``, and no other requests."""
    token = _present.set(ids)
    try:
        yield
    finally:
        _present.reset(token)


def shown() -> ShownIds:
    """Returns the request ids that a log line names at this moment: valid ids, each once."""
    ids = list(dict.fromkeys(id for id in _present.get() if isinstance(id, str) and is_valid(id)))
    return ShownIds(ids[:MAX_SHOWN], max(0, len(ids) - MAX_SHOWN))


def words() -> str:
    """Returns a text to add to a log line, such as `` (request abc)``; empty if no id is valid."""
    ids, more = shown()
    if not ids:
        return ""
    noun = "request" if len(ids) == 1 else "requests"
    return f" ({noun} {', '.join(ids)}{f' and {more} more' if more else ''})"
