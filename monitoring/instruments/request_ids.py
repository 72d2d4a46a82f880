"""The ids of the requests that a thread or a coroutine works for, so that log lines name them.

An id comes with its message as a header of a Celery task, and anybody may have written that header.
So the ids are kept here as they came, and are looked at only where a line is logged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

#: Characters of an id, at most.
LONGEST = 128
#: What an id is made of: nothing that ends a header, a log line, or a word in it.
PATTERN = rf"[A-Za-z0-9._-]{{1,{LONGEST}}}"
#: Ids that one log line names, at most.
SHOWN = 4

_ID = re.compile(PATTERN)
_present: ContextVar[Sequence[object]] = ContextVar("request_ids", default=())


class Named(NamedTuple):
    """The ids that a log line names."""

    ids: list[str]
    #: How many more there are.
    more: int


def is_valid(id: object) -> bool:
    """Returns whether ``id`` is one that a header and a log line may hold."""
    return isinstance(id, str) and _ID.fullmatch(id) is not None


def set_present(id: str) -> None:
    """Has log lines of the present context name this request, until the context has another."""
    _present.set((id,))


def present() -> str:
    """Returns the id of the request that the present context works for; empty: there is none."""
    ids = _present.get()
    return str(ids[0]) if ids else ""


@contextmanager
def about(ids: Sequence[object]) -> Iterator[None]:
    """Has log lines within the block name these requests, and no others."""
    token = _present.set(ids)
    try:
        yield
    finally:
        _present.reset(token)


def named() -> Named:
    """Returns what a log line of the present context is to name: valid ids, each once."""
    ids = list(dict.fromkeys(id for id in _present.get() if isinstance(id, str) and is_valid(id)))
    return Named(ids[:SHOWN], max(0, len(ids) - SHOWN))


def words() -> str:
    """Returns what the end of a line of text names them with; empty: there are none."""
    ids, more = named()
    if not ids:
        return ""
    noun = "request" if len(ids) == 1 else "requests"
    return f" ({noun} {', '.join(ids)}{f' and {more} more' if more else ''})"
