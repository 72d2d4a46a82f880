"""What every answer must be, and how many there were."""

from __future__ import annotations

import json
import os
from collections import Counter

from api.errors import STATUS
from tests.fuzz.raw import Answer

#: How many requests to send, more or less: Schemathesis sends some of its own accord.
REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "2000"))
#: Requests sent, by the status of the answer, and by the code of what failed; "none": the
#: connection ended without an answer.
sent: Counter[str] = Counter()

#: Failures that pass by themselves, and what is in no version or coding that Byline knows.
HONEST = (501, 503, 504, 505)


def share(part: float) -> int:
    """Return how many requests this part of all is."""
    return max(1, round(REQUESTS * part))


def check(answer: Answer | None) -> None:
    """Count an answer; fail where Byline says that it failed, or does not say what is wrong.

    None: there was no answer, because the request was not whole.
    """
    if answer is None:
        sent["none"] += 1
        return
    code = _problem(answer) if answer.status >= 400 else ""
    sent[f"{answer.status} {code}" if answer.status >= 500 else str(answer.status)] += 1
    assert answer.status < 500 or answer.status in HONEST, answer
    if answer.status < 400 and answer.media_type == "application/json" and answer.body:
        json.loads(answer.body)


def _problem(answer: Answer) -> str:
    """Return the code of a problem document, or fail where it is none."""
    assert answer.media_type == "application/problem+json", answer
    if answer.head_only:
        return ""
    document = json.loads(answer.body)
    assert document["status"] == answer.status, answer
    assert STATUS.get(document["code"]) == answer.status, answer
    return str(document["code"])
