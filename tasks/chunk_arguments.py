"""Parses the arguments and headers of a Celery task into a chunk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tasks.errors import InvalidMessage
from tasks.messages import LARGEST_TASK, REPLIES, REQUEST_IDS, TASK, Chunk


def parse_chunk(
    id: str,
    reply_to: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    sent_at: Any = None,
    request_ids: Sequence[Any] = (),
) -> Chunk:
    """Returns the chunk that a task's arguments and headers describe.

    ``args`` and ``kwargs`` are the task's arguments. ``sent_at`` and ``request_ids`` are Byline's
    own headers.

    Raises:
        InvalidMessage: the arguments are wrong. The error quotes no argument.
    """
    try:
        messages, deadlines, explain, version, exact = _bind(*args, **kwargs)
        if not isinstance(messages, list):
            raise InvalidMessage(f"{TASK}: messages must be a list of strings")
        if len(messages) > LARGEST_TASK:
            words = f"{len(messages):,} messages; at most {LARGEST_TASK:,}, send several tasks"
            raise InvalidMessage(f"{TASK}: {words}")
        chunk = msgspec.convert(
            {
                "id": id,
                "texts": messages,
                "deadlines": [None] * len(messages) if deadlines is None else deadlines,
                "explain": explain,
                "version": version,
                "exact": exact,
                # Anybody may have written this header. Only a metric depends on it.
                "sent_at": sent_at if isinstance(sent_at, float) else None,
                "reply_to": _byline_list(reply_to),
                "request_ids": request_ids if len(request_ids) == len(messages) else [],
            },
            Chunk,
        )
        if chunk.version is not None:
            chunk.version.encode()  # raises for a lone surrogate: message ids hash the version
    except TypeError:
        words = "the arguments are messages; and optionally deadlines, explain, version, exact"
        raise InvalidMessage(f"{TASK}: {words}") from None
    except ValueError as error:
        raise InvalidMessage(f"{TASK}: {error}") from None
    return chunk


def carried_ids(headers: Any) -> list[Any]:
    """Returns the list of HTTP request ids from the headers of a task; may be empty.

    Anybody may have written these headers. So code that shows an id has to check the id first.
    """
    ids = headers.get(REQUEST_IDS) if isinstance(headers, dict) else None
    return ids if isinstance(ids, list) and len(ids) <= LARGEST_TASK else []


def _byline_list(reply_to: Any) -> str | None:
    """Returns ``reply_to`` if it is the name of Byline's Redis list for replies, otherwise None.

    Celery also sets ``reply_to`` on every task, but to another name.
    """
    ours = isinstance(reply_to, str) and reply_to.startswith(REPLIES) and reply_to.isascii()
    return reply_to if ours else None


def _bind(
    messages: Any,
    deadlines: Any = None,
    explain: Any = False,
    version: Any = None,
    promised: Any = False,  # noqa: ARG001  # earlier clients send this argument
    exact: Any = False,
) -> tuple[Any, ...]:
    """Returns the task's arguments in a fixed order, with defaults for missing arguments."""
    return messages, deadlines, explain, version, exact
