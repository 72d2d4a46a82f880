"""Counts answers that differ from their message's first answer, and texts computed twice.

After a load, the check sends each answered message again. The new answer must have the same author
and the same confidence as the message's first answer.
"""

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
#: Bytes that the test model appends to a file for each text that it computes.
DIGEST = 16
#: Seconds for which the check retries a request without answers, while the system recovers.
RETRY_FOR_S = 15.0
#: Seconds between two attempts.
PAUSE_S = 0.5


class DuplicateCheck(Recorder):
    """A recorder that also counts answers unlike the first answer to the same message."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        super().__init__(passages)
        #: Author and confidence of the first answer to each message, by the message's text.
        self.given: dict[str, tuple[str | None, float]] = {}
        #: Number of answers that differ from the first answer to their message.
        self.changed = 0

    def _judge(self, message: Message, answer: Answer, index: int) -> None:
        super()._judge(message, answer, index)
        found = (answer.author, answer.confidence)
        self.changed += self.given.setdefault(message.text, found) != found

    def contradicted(self, target: Target) -> int:
        """Sends all answered messages again, and returns how many answers differ from the first.

        The number includes the answers that differed while the load ran.

        Raises:
            RuntimeError: a message that was answered before gets no answer now.
        """
        texts = list(self.given)
        chunks = (texts[start : start + BULK] for start in range(0, len(texts), BULK))
        return self.changed + sum(
            (answer.author, answer.confidence) != self.given[text]
            for chunk in chunks
            for text, answer in zip(chunk, _ask(target, chunk), strict=True)
        )


def computed_twice(calls: Path) -> int:
    """Returns how often the test model computed a text that it had computed before.

    The test model appends one entry to the file ``calls`` for each text that it computes.
    """
    noted = calls.read_bytes()
    counts = Counter(noted[start : start + DIGEST] for start in range(0, len(noted), DIGEST))
    return sum(counts.values()) - len(counts)


def _ask(target: Target, texts: Sequence[str]) -> list[Answer]:
    until = time.monotonic() + RETRY_FOR_S
    while True:
        found = _asked(target, texts)
        if isinstance(found, list):
            missing = [why for answer in found if (why := _missing(answer))]
            if not missing:
                return found
            found = missing[0]
        if time.monotonic() > until:
            raise RuntimeError(f"asked again, there is no answer: {found}")
        time.sleep(PAUSE_S)  # between two attempts, until the deadline


def _missing(answer: Answer) -> str:
    """Returns the reason why ``answer`` has no attribution; empty if it has an attribution."""
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
    except (OSError, HTTPException) as error:  # the api does not listen, or died meanwhile
        return repr(error)
