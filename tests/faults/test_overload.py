"""More is asked than the model can do: who goes first, and who is told to come again."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from bench.load import HttpLoad
from bench.messages import Message, Passage
from bench.pacer import Pacer
from bench.recorder import Recorder
from bench.wire import Target
from tests.parts import Stack

#: 16 messages each 0.2 seconds.
SLOW = {"TEST_MODEL_SECONDS": "0.2"}
CAPACITY = 80.0


@pytest.fixture
def slow(own: Stack) -> Stack:
    own.env |= SLOW | {"BYLINE_BATCH_MESSAGES": "16", "BYLINE_CHUNK_MESSAGES": "16"}
    own.worker()
    own.api()
    return own


def test_the_urgent_go_first(slow: Stack) -> None:
    """Four seconds' worth of background work waits; who is urgent does not."""
    background = [
        {"messages": [{"text": f"background {n} {m}"} for m in range(40)], "priority": 9}
        for n in range(8)
    ]
    with ThreadPoolExecutor(len(background)) as pool:
        began = time.monotonic()
        bulk = [pool.submit(slow.attribute, request, wait=20) for request in background]
        took = []
        while not all(request.done() for request in bulk):
            asked = time.monotonic()
            answer = slow.attribute({"text": f"urgent {len(took)}"})
            assert answer.status_code == 200
            took.append(time.monotonic() - asked)
        answers = [request.result() for request in bulk]
        seconds = time.monotonic() - began
    assert seconds > 3
    assert {answer.status_code for answer in answers} == {200}
    assert len(took) >= 3
    # The batch that is computed, the one that waits in the worker, and its own.
    assert max(took) < 1.5


def test_three_times_the_capacity_with_deadlines(slow: Stack) -> None:
    """Goodput stays, who can't be served is told so at once, and the queue stays short."""
    seconds, rate, deadline_s = 6.0, 3 * CAPACITY, 0.8
    number = int(rate * seconds)
    url = httpx.URL(slow.url)
    recorder = Recorder([Passage("", "")])
    load = HttpLoad(
        Target(url.host, url.port or 80, "/v1/attributions"),
        (Message(0, f"a message of its own {n}") for n in range(number)),
        recorder,
        connections=300,
        bulk=1,
        pacer=Pacer(rate),
        deadline_ms=int(1000 * deadline_s),
    )
    load.run(0.0, seconds + 2, number)
    recorder.judge_kept()
    answered, refused = sum(recorder.answered), recorder.failed
    assert set(refused) <= {"overloaded", "deadline_passed"}
    assert answered + sum(refused.values()) == number
    # Of all that it can do; this machine runs the test as well. `make bench` has the figures.
    assert answered > 0.6 * CAPACITY * seconds
    assert refused["overloaded"] > refused["deadline_passed"]
    slow_ones = [
        (round(due, 3), round(latency, 3))
        for due, latency in zip(recorder.due, recorder.latency, strict=True)
        if latency > deadline_s + 0.3
    ]
    assert slow_ones == []
    assert slow.held() < CAPACITY


def test_a_queue_that_is_full_takes_no_more(own: Stack, tmp_path: Path) -> None:
    """Without deadlines, what may wait is bounded, and all that was taken is answered."""
    own.env |= SLOW | {"BYLINE_OUTBOX_MESSAGES": "64", "BYLINE_MAX_BULK": "32"}
    own.worker()
    own.api()
    with ThreadPoolExecutor(8) as pool:
        bulk = [pool.submit(slow_bulk, own, n) for n in range(8)]
        answers = [request.result() for request in bulk]
    assert {answer.status_code for answer in answers} == {200, 503}
    refused = [answer for answer in answers if answer.status_code == 503]
    assert {answer.json()["code"] for answer in refused} == {"overloaded"}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refused)


def slow_bulk(stack: Stack, number: int) -> httpx.Response:
    texts = [{"text": f"bulk {number} {m}"} for m in range(30)]
    return stack.attribute({"messages": texts}, wait=20)
