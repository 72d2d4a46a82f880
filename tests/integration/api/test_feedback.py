"""``/v1/feedback``: a label counts once, for the attribution with the label's id."""

from __future__ import annotations

import httpx
import pytest

from monitoring.state.windows import LABELS, Window
from tests.integration.ways import Http
from tests.parts import Stack

DAY_S = 86_400.0


def learn(http: Http, **body: object) -> httpx.Response:
    return http.post("/v1/feedback", json=body)


@pytest.fixture(autouse=True)
def nothing_learned(stack: Stack) -> None:
    """Deletes the feedback of the previous way to serve the api."""
    for key in stack.redis.scan_iter("byline:feedback:*"):
        stack.redis.delete(key)


def labels(stack: Stack) -> tuple[int, int]:
    """Returns the number of labels, and for how many of them the model was right."""
    counts = Window(LABELS, DAY_S).read(stack.redis, "vowels-1")
    return counts["labels"], counts["right"]


def test_a_label_is_recorded_and_compared(http: Http, stack: Stack) -> None:
    before = labels(stack)
    first = http.attribute({"text": "aeiou for feedback"}).json()["id"]
    second = http.attribute({"text": "hmm, zzz for feedback"}).json()["id"]
    right, wrong = learn(http, id=first, author="vowels"), learn(http, id=second, author="else")
    assert right.json() == {"id": first, "author": "vowels", "correct": True}
    assert (wrong.status_code, wrong.json()["correct"]) == (202, False)
    assert labels(stack) == (before[0] + 2, before[1] + 1)


def test_a_repeated_label_counts_once_and_another_label_is_a_conflict(
    http: Http, stack: Stack
) -> None:
    id = http.attribute({"text": "aeiou, said twice"}).json()["id"]
    assert learn(http, id=id, author="vowels").status_code == 202
    before = labels(stack)
    assert learn(http, id=id, author="vowels").status_code == 202
    conflict = learn(http, id=id, author="consonants")
    assert (conflict.status_code, conflict.json()["code"]) == (409, "conflict")
    assert labels(stack) == before


def test_a_label_for_an_unknown_message_is_not_found(http: Http) -> None:
    unknown = learn(http, id="0" * 32, author="vowels")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "not_json"),
        (b'{"id": "x", "author": "a"}', 422, "invalid"),
        (b'{"id": "%s"}' % (b"0" * 32), 422, "invalid"),
        (b'{"id": "%s", "author": ""}' % (b"0" * 32), 422, "invalid"),
        (b'{"id": "%s", "author": "%s"}' % (b"0" * 32, b"a" * 201), 422, "invalid"),
        (b'{"id": "%s", "author": "a", "more": 1}' % (b"0" * 32), 422, "invalid"),
        (b'{"id": "%s", "author": "a", "author": "b"}' % (b"0" * 32), 400, "not_json"),
        (b'{"id": "%s", "author": "\\ud800"}' % (b"0" * 32), 400, "not_json"),
    ],
)
def test_invalid_feedback_is_refused(http: Http, body: bytes, status: int, code: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = http.post("/v1/feedback", content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_get_is_not_allowed(http: Http) -> None:
    response = http.get("/v1/feedback")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("points", ["0", "301", "x", "-1", "٣", "1.5", ""])
def test_an_invalid_number_of_points_is_refused(http: Http, points: str) -> None:
    url = "/v1/figures"
    assert http.get(url, params={"points": points}).status_code == 422
    figures = http.get(url)
    assert figures.status_code == 200
    assert figures.json()["points"] == []  # no monitor is running here
