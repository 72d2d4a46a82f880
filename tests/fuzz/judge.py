"""Checks each answer of the api, and counts the answers."""

from __future__ import annotations

import json
import os
from collections import Counter

from api.errors import STATUS
from tests.fuzz.raw import Answer

#: Approximate number of requests to send. Schemathesis sends some requests in addition.
REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "2000"))
#: Number of requests, by the status of the answer, and by the error code where the status is 500 or
#: more. "none": the connection ended without an answer.
sent: Counter[str] = Counter()

#: Statuses that are no defect: for temporary failures, and for an HTTP version or a transfer coding
#: that Byline does not know.
HONEST = (501, 503, 504, 505)


def share(part: float) -> int:
    """Returns the number of requests for this part of ``REQUESTS``."""
    return max(1, round(REQUESTS * part))


def check(answer: Answer | None) -> None:
    """Counts an answer. Fails if the answer is an internal error, or an error without a code.

    None: there was no answer, because the request was incomplete.
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
    """Returns the code of a problem document. Fails if the answer is no problem document."""
    assert answer.media_type == "application/problem+json", answer
    if answer.head_only:
        return ""
    document = json.loads(answer.body)
    assert document["status"] == answer.status, answer
    assert STATUS.get(document["code"]) == answer.status, answer
    return str(document["code"])
