"""The kept texts: messages with their true authors, from which the next model version learns.

The Redis keys have no time to live, so that a full Redis does not evict them. Instead, each text
has a time at which it expires. If all texts take too much memory, those that expire first are
deleted when new texts come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from redis import Redis, ResponseError

from tasks.feedback.waiting_texts import TEXT
from tasks.storage.lua_scripts import read_script
from tasks.storage.wrong_type import is_wrong_type

#: Redis hash: the record of each kept text under its message id, and the field :data:`BYTES`.
KEPT = "byline:kept"
#: Sorted set of the message ids of all kept texts, by the Unix time until which each is kept.
ENDS = f"{KEPT}:ends"
#: Field of the hash: the memory that all records take, in bytes.
BYTES = b"bytes"
#: Seconds of a day.
DAY_S = 86_400.0
#: Largest number of texts that one call of :func:`expire` deletes.
MAX_EXPIRED = 1000
#: Number of records that one command reads or deletes.
BATCH = 500

_LUA = Path(__file__).with_name("lua")


def _script(name: str) -> str:
    return "\n".join(read_script(_LUA / f"{each}.lua") for each in ("kept_texts", name))


_KEEP, _EXPIRE, _ERASE = map(_script, ("keep_text", "expire_kept", "erase_kept"))


class LabelledText(msgspec.Struct, array_like=True, frozen=True):
    """A kept text, with the true author that a client has named in its feedback."""

    #: Unix time, in seconds, until which the text is kept.
    until: float
    #: The true author, in the canonical form.
    author: str
    #: The model version that attributed the text.
    version: str
    #: The text, in the canonical form.
    text: str


class Kept(NamedTuple):
    """All kept texts, as Redis had them at one moment."""

    #: The texts; those that are kept longest come last.
    texts: list[LabelledText]
    #: Number of records that can't be read.
    unreadable: int


_decode = msgspec.json.Decoder(LabelledText).decode


class KeepLimits(NamedTuple):
    """How long texts are kept, and how much memory they take."""

    #: Seconds for which a text is kept after its feedback.
    seconds: float
    #: Largest memory that all kept texts take, in bytes.
    max_bytes: int

    def keep_command(self, label: str, id: str, version: str) -> tuple[str | int | float, ...]:
        """Returns the Redis command that keeps the text of a message with feedback.

        ``label`` is the Redis key of the message's true author. ``id`` is the message id under
        which the worker stored the text. Redis responds with two values: what happened to the text,
        as a word, and the number of older texts that were deleted to make room. The word is
        ``unchanged``, or one that the metric ``byline_feedback_texts`` has as a label.
        """
        ends = time.time() + self.seconds
        keys = (label, TEXT + id, KEPT, ENDS)
        return "EVAL", _KEEP, len(keys), *keys, id, version, ends, self.max_bytes


class KeptTexts:
    """Reads and deletes the kept texts. All methods may raise ``redis.RedisError``."""

    def __init__(self, client: Redis, now: Callable[[], float] = time.time) -> None:
        self._client = client
        self._now = now

    def all(self) -> Kept:
        """Returns all kept texts that have not expired."""
        texts, unreadable, now = [], 0, self._now()
        for _, raw in self._records():
            text = _read(raw)
            if text is None:
                unreadable += 1
            elif text.until > now:
                texts.append(text)
        return Kept(sorted(texts, key=lambda text: text.until), unreadable)

    def erase(self, author: str) -> int:
        """Deletes all kept texts of ``author``, and returns their number.

        ``author`` must be in the form that :func:`tasks.messages.parse_author` returns.
        """
        erased = 0
        # Again, because feedback may have changed a record after this method has read it.
        while found := list(self._records_of(author)):
            steps = range(0, len(found), BATCH)
            batches = (chain.from_iterable(found[start : start + BATCH]) for start in steps)
            erased += sum(int(self._eval(_ERASE, *pairs)) for pairs in batches)
        return erased

    def expire(self) -> int:
        """Deletes up to :data:`MAX_EXPIRED` expired texts, and returns their number.

        Any process may call this method, every few seconds.
        """
        return int(self._eval(_EXPIRE, str(self._now()), MAX_EXPIRED))

    def _eval(self, script: str, *arguments: Any) -> Any:
        return self._client.eval(script, 2, KEPT, ENDS, *arguments)

    def _records_of(self, author: str) -> Iterator[tuple[bytes, bytes]]:
        for id, raw in self._records():
            if (text := _read(raw)) is not None and text.author == author:
                yield id, raw

    def _records(self) -> Iterator[tuple[bytes, bytes]]:
        """Yields the id and the record of each kept text.

        If the key of the records holds a wrong type, yields one record that can't be read.
        """
        try:
            for id, raw in self._client.hscan_iter(KEPT, count=BATCH):
                if id != BYTES:
                    yield id, raw
        except ResponseError as error:
            if not is_wrong_type(error):
                raise
            yield b"", b""


def _read(raw: bytes) -> LabelledText | None:
    """Returns a decoded record; None if it can't be decoded."""
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
