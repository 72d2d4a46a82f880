"""Parses the arguments of a Celery task into a chunk."""

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
    """Return the chunk that a task's arguments, and its headers of ours, describe.

    Raises:
        InvalidMessage: they do not describe one. Says what is wrong and quotes nothing.
    """
    try:
        messages, deadlines, explain, version, exact = _arguments(*args, **kwargs)
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
                # Anybody may have written it, and nothing but a metric depends on it.
                "sent_at": sent_at if isinstance(sent_at, float) else None,
                "reply_to": _list_of_ours(reply_to),
                "request_ids": request_ids if len(request_ids) == len(messages) else [],
            },
            Chunk,
        )
        if chunk.version is not None:
            chunk.version.encode()  # a part of the ids, which are hashes of bytes
    except TypeError:
        words = "the arguments are messages; deadlines, explain, version, exact if need be"
        raise InvalidMessage(f"{TASK}: {words}") from None
    except ValueError as error:
        raise InvalidMessage(f"{TASK}: {error}") from None
    return chunk


def carried_ids(headers: Any) -> list[Any]:
    """Returns the ids that a task's headers name its requests with; empty where they don't.

    Anybody may have written them: whoever shows one looks whether it is valid.
    """
    ids = headers.get(REQUEST_IDS) if isinstance(headers, dict) else None
    return ids if isinstance(ids, list) and len(ids) <= LARGEST_TASK else []


def _list_of_ours(reply_to: Any) -> str | None:
    """Return the list to reply to. Celery gives every task one; only a list of ours is answered."""
    ours = isinstance(reply_to, str) and reply_to.startswith(REPLIES) and reply_to.isascii()
    return reply_to if ours else None


def _arguments(
    messages: Any,
    deadlines: Any = None,
    explain: Any = False,
    version: Any = None,
    promised: Any = False,  # noqa: ARG001  # earlier clients send it
    exact: Any = False,
) -> tuple[Any, ...]:
    return messages, deadlines, explain, version, exact
