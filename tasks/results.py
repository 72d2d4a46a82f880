"""The result of the task ``byline.attribute``, as Celery's clients read it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import msgspec

from tasks.messages import Failure, Outcome


class Attributions(Sequence[Any]):
    """The result of a task ``byline.attribute``: a sequence that becomes a list in JSON.

    The repr has only the number of messages, and no text. The items, which are dicts, are made when
    a caller first reads an item.
    """

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self._outcomes = outcomes

    @cached_property
    def _builtins(self) -> list[Any]:
        # Made late, because callers rarely read an item.
        return [_to_builtins(outcome) for outcome in self._outcomes]

    def __getitem__(self, index: Any) -> Any:
        return self._builtins[index]

    def __len__(self) -> int:
        return len(self._outcomes)

    def __repr__(self) -> str:
        # Celery's events and logs show the repr, and an attribution's evidence quotes the text.
        return f"({count_in_words(len(self))} attributed)"

    @property
    def encodable(self) -> list[Any]:
        """The outcomes as a list that msgspec encodes ten times as fast as a list of dicts."""
        return [_to_builtins(o) if isinstance(o, Failure) else o for o in self._outcomes]

    def __json__(self) -> list[Any]:
        return self._builtins


def _to_builtins(outcome: Outcome) -> Any:
    if isinstance(outcome, Failure):
        return {"id": outcome.id, "error": {"code": outcome.code, "detail": outcome.detail}}
    return msgspec.to_builtins(outcome)


def count_in_words(messages: int) -> str:
    """Returns the number with its noun, such as "1 message" or "7 messages"."""
    return f"{messages} message" if messages == 1 else f"{messages} messages"
