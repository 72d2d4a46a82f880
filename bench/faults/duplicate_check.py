"""Were effects doubled? Every answer is remembered, and asked for again in the end."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError

from bench.load.http_client import Target
from bench.load.messages import Message, Passage
from bench.load.recorder import Answer, Promise, Recorder, outcomes
from bench.system.direct import DIRECT, request

#: Messages in one request.
BULK = 256
#: Bytes that a model made for it appends to a file for each text it computes.
DIGEST = 16
#: Seconds for which it is asked again for what has no answer, and between two tries: what broke
#: last may still be on its way back.
PATIENCE_S, PAUSE_S = 15.0, 0.5


class DuplicateCheck(Recorder):
    """Remembers every answer."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        super().__init__(passages)
        #: Author and confidence, by the message's text: the first answer.
        self.given: dict[str, tuple[str | None, float]] = {}
        #: Answers that were not the first one's.
        self.changed = 0

    def _judge(self, message: Message, answer: Answer, place: int) -> None:
        super()._judge(message, answer, place)
        found = (answer.author, answer.confidence)
        self.changed += self.given.setdefault(message.text, found) != found

    def contradicted(self, target: Target) -> int:
        """Asks everything again, and returns how many answers were not the first one's.

        Raises:
            RuntimeError: something that was answered once is not any more.
        """
        texts = list(self.given)
        chunks = (texts[start : start + BULK] for start in range(0, len(texts), BULK))
        return self.changed + sum(
            (answer.author, answer.confidence) != self.given[text]
            for chunk in chunks
            for text, answer in zip(chunk, _ask(target, chunk), strict=True)
        )


def computed_twice(calls: Path) -> int:
    """Returns how many forward passes of a text were not its first, as its model has noted."""
    noted = calls.read_bytes()
    counts = Counter(noted[start : start + DIGEST] for start in range(0, len(noted), DIGEST))
    return sum(counts.values()) - len(counts)


def _ask(target: Target, texts: Sequence[str]) -> list[Answer]:
    until = time.monotonic() + PATIENCE_S
    while True:
        found = _asked(target, texts)
        if isinstance(found, list):
            missing = [why for answer in found if (why := _missing(answer))]
            if not missing:
                return found
            found = missing[0]
        if time.monotonic() > until:
            raise RuntimeError(f"asked again, there is no answer: {found}")
        time.sleep(PAUSE_S)  # between two tries, until the deadline


def _missing(answer: Answer) -> str:
    """Returns why a message has no attribution; empty: it has one."""
    if answer.error is not None:
        return answer.error.code
    return Recorder.PROMISED if answer.location else ""


def _asked(target: Target, texts: Sequence[str]) -> list[Answer] | Promise | str:
    body = {"messages": [{"text": text} for text in texts]}
    try:
        with DIRECT.open(request(target, target.path, body), timeout=60) as response:
            return outcomes(response.status, response.read(), bulk=True)
    except HTTPError as error:
        with error:
            return outcomes(error.code, error.read(), bulk=True)
    except (OSError, HTTPException) as error:  # it does not listen, or died at it
        return repr(error)
