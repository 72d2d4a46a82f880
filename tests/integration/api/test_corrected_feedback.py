"""Feedback that was given by mistake can be corrected; the accuracy counts the corrected author."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from celery_app.client.labels import FEEDBACK, MAX_TRACE, TRACE
from monitoring.state.windows import LABELS, Window
from tests.integration.ways import Http
from tests.parts import Stack, wait_for

DAY_S = 86_400.0


@pytest.fixture(autouse=True)
def nothing_learned(stack: Stack) -> None:
    for key in stack.redis.scan_iter(f"{FEEDBACK}*"):
        stack.redis.delete(key)


def tell(http: Http, id: str, author: str, **more: object) -> httpx.Response:
    return http.post("/v1/feedback", json={"id": id, "author": author, **more})


def attributed(http: Http, text: str) -> str:
    """Returns the id of a message of which the model's best guess is `vowels`."""
    return str(http.attribute({"text": f"aeiou aeiou {text}"}).json()["id"])


def labels(stack: Stack) -> tuple[int, int]:
    """Returns how many labels the window counts, and how many of those the model had right."""
    counts = Window(LABELS, DAY_S).read(stack.redis, "vowels-1")
    return counts["labels"], counts["right"]


def test_correction_takes_the_place_of_the_first_author(http: Http, stack: Stack) -> None:
    id = attributed(http, "corrected")
    all_, right = labels(stack)
    assert tell(http, id, "consonants").json()["correct"] is False
    assert labels(stack) == (all_ + 1, right)
    corrected = tell(http, id, "vowels", corrects=True)
    assert corrected.status_code == 202
    assert corrected.json() == {
        "id": id,
        "author": "vowels",
        "correct": True,
        "before": ["consonants"],
    }
    assert labels(stack) == (all_ + 1, right + 1)
    assert stack.redis.get(FEEDBACK + id) == b"vowels"


def test_author_with_white_space_at_the_ends_is_the_same_author(http: Http, stack: Stack) -> None:
    id = attributed(http, "white space")
    assert tell(http, id, " vowels\r\n").json() == {"id": id, "author": "vowels", "correct": True}
    assert tell(http, id, "vowels").status_code == 202
    assert stack.redis.get(FEEDBACK + id) == b"vowels"


def test_blank_author_is_refused(http: Http) -> None:
    refused = tell(http, attributed(http, "blank"), " ")
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid")


def test_correction_sent_again_counts_once(http: Http, stack: Stack) -> None:
    id = attributed(http, "corrected twice")
    tell(http, id, "vowels")
    first, again = (tell(http, id, "consonants", corrects=True) for _ in range(2))
    before = labels(stack)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert tell(http, id, "consonants").json() == again.json()
    assert labels(stack) == before


def test_contradiction_without_the_word_is_refused_and_told_how(http: Http, stack: Stack) -> None:
    id = attributed(http, "contradicted")
    tell(http, id, "vowels")
    before = labels(stack)
    for more in ({}, {"corrects": False}):
        refused = tell(http, id, "consonants", **more)
        assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
        assert '"corrects": true' in refused.json()["detail"]
    assert labels(stack) == before
    assert stack.redis.get(FEEDBACK + id) == b"vowels"


def test_correction_of_nothing_is_plain_feedback(http: Http, stack: Stack) -> None:
    id = attributed(http, "never told before")
    all_, right = labels(stack)
    told = tell(http, id, "vowels", corrects=True)
    assert told.json() == {"id": id, "author": "vowels", "correct": True}
    assert labels(stack) == (all_ + 1, right + 1)


def test_trace_has_the_authors_in_order_and_expires_with_the_label(
    http: Http, stack: Stack
) -> None:
    id = attributed(http, "of many authors")
    tell(http, id, "author 0")
    stack.redis.expire(FEEDBACK + id, 1000)
    for number in range(1, MAX_TRACE + 5):
        told = tell(http, id, f"author {number}", corrects=True)
    assert told.json()["before"] == [f"author {n}" for n in range(4, MAX_TRACE + 4)]
    assert 0 < stack.redis.ttl(FEEDBACK + id) <= 1000
    assert 0 < stack.redis.ttl(FEEDBACK + id + TRACE) <= 1000


def test_label_that_left_the_window_is_corrected_and_counted_no_more(
    http: Http, stack: Stack
) -> None:
    id = attributed(http, "long ago")
    tell(http, id, "consonants")
    for key in stack.redis.scan_iter("byline:quality:labels:*"):
        stack.redis.delete(key)
    with stack.redis.pipeline() as pipe:  # as a worker does, which reports every few seconds
        Window(LABELS, DAY_S).add(pipe, "vowels-1", {"messages": 1})
        pipe.execute()
    assert tell(http, id, "vowels", corrects=True).status_code == 202
    assert labels(stack) == (0, 0)


@pytest.mark.parametrize("value", ["garbage", {"a": "b"}], ids=repr)
def test_trace_that_cant_be_read_makes_way(http: Http, stack: Stack, value: Any) -> None:
    id = attributed(http, f"with a damaged trace, {value}")
    tell(http, id, "consonants")
    if isinstance(value, dict):
        stack.redis.hset(FEEDBACK + id + TRACE, mapping=value)
    else:
        stack.redis.set(FEEDBACK + id + TRACE, value)
    assert tell(http, id, "consonants").status_code == 202
    assert tell(http, id, "vowels", corrects=True).json()["before"] == ["consonants"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"id": "%s", "author": "a", "corrects": 1}', 422),
        (b'{"id": "%s", "author": "a", "corrects": "true"}', 422),
        (b'{"id": "%s", "author": "a", "corrects": true, "corrects": false}', 400),
    ],
)
def test_other_values_are_refused(http: Http, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"}
    answer = http.post("/v1/feedback", content=body % (b"0" * 32), headers=headers)
    assert answer.status_code == status


def test_corrections_are_counted_by_what_they_change(own: Stack) -> None:
    own.worker()
    own.api()
    id = own.attribute({"text": "aeiou counted"}).json()["id"]
    for author in ("consonants", "vowels", "nobody", "somebody"):
        told = {"id": id, "author": author, "corrects": True}
        httpx.post(f"{own.url}/v1/feedback", json=told, timeout=20).raise_for_status()

    def counted() -> dict[tuple[str, str], float]:
        port = own.env["BYLINE_API_METRICS_PORT"]
        page = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=10).text
        found = re.findall(r"^byline_feedback_corrections_total\{(.*)\} (\S+)$", page, re.MULTILINE)
        values = [(dict(re.findall(r'(\w+)="(\w+)"', names)), float(v)) for names, v in found]
        return {(names["before"], names["now"]): value for names, value in values}

    wanted = {
        ("false", "true"): 1.0,
        ("true", "false"): 1.0,
        ("false", "false"): 1.0,
        ("true", "true"): 0.0,
    }
    wait_for(lambda: counted() == wanted, 10, "the metric")
