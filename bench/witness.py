"""Were effects doubled? Every answer is remembered, and asked for again in the end."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from bench.messages import Message, Passage
from bench.recorder import Answer, Recorder, outcomes
from bench.wire import Target

#: Messages in one request.
BULK = 256
#: Bytes that a model made for it appends to a file for each text it computes.
DIGEST = 16


class Witness(Recorder):
    """Remembers every answer."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        super().__init__(passages)
        #: Author and confidence, by the message's text: the first answer.
        self.given: dict[str, tuple[str | None, float]] = {}
        #: Answers that were not the first one's.
        self.changed = 0

    def _judge(self, message: Message, answer: Answer) -> None:
        super()._judge(message, answer)
        found = (answer.author, answer.confidence)
        self.changed += self.given.setdefault(message.text, found) != found

    def contradicted(self, target: Target) -> int:
        """Ask everything again, and return how many answers were not the first one's."""
        texts = list(self.given)
        chunks = (texts[start : start + BULK] for start in range(0, len(texts), BULK))
        return self.changed + sum(
            (answer.author, answer.confidence) != self.given[text]
            for chunk in chunks
            for text, answer in zip(chunk, _ask(target, chunk), strict=True)
        )


def computed_twice(calls: Path) -> int:
    """Return how many forward passes of a text were not its first, as its model has noted."""
    noted = calls.read_bytes()
    counts = Counter(noted[start : start + DIGEST] for start in range(0, len(noted), DIGEST))
    return sum(counts.values()) - len(counts)


def _ask(target: Target, texts: Sequence[str]) -> list[Answer]:
    request = urllib.request.Request(
        f"http://{target.host}:{target.port}{target.path}",
        json.dumps({"messages": [{"text": text} for text in texts]}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        found = outcomes(response.status, response.read(), bulk=True)
    if isinstance(found, list):
        return found
    raise RuntimeError(f"asked again, there is no answer: {found}")
