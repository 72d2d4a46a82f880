"""Tests of the request pool: prepared requests come first, later requests are made on demand."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest

from bench.load.http_client import Request, Target
from bench.load.messages import Message
from bench.load.request_pool import RequestPool


class Draws:
    """An endless source of messages that counts the messages taken from it."""

    def __init__(self) -> None:
        self.drawn = 0

    def messages(self) -> Iterator[Message]:
        for number in itertools.count():
            self.drawn += 1
            yield Message(number, f"text {number}")

    def request_pool(self, bulk: int = 1, deadline_ms: int | None = None) -> RequestPool:
        return RequestPool(Target("host", 80, "/path"), self.messages(), bulk, deadline_ms)


def body(request: Request) -> object:
    head, _, content = request.wire.partition(b"\r\n\r\n")
    assert f"Content-Length: {len(content)}".encode() in head.split(b"\r\n")
    return json.loads(content)


def test_every_message_is_sent_once_and_in_order() -> None:
    draws = Draws()
    request_pool = draws.request_pool()
    request_pool.fill(5, lambda: False)
    assert draws.drawn == 5
    taken = [request_pool.take() for _ in range(8)]
    assert draws.drawn == 8
    assert [request.messages[0].passage for request in taken] == list(range(8))
    assert [body(request) for request in taken] == [{"text": f"text {n}"} for n in range(8)]


def test_a_bulk_request_and_a_deadline_are_rendered() -> None:
    request = Draws().request_pool(bulk=2, deadline_ms=500).take()
    assert body(request) == {
        "messages": [{"text": "text 0"}, {"text": "text 1"}],
        "deadline_ms": 500,
    }
    assert len(request.messages) == 2


def test_filling_stops_at_the_limits_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    size = len(Draws().request_pool().take().wire)
    monkeypatch.setattr("bench.load.request_pool.MAX_BYTES", 10 * size)
    draws = Draws()
    draws.request_pool().fill(1000, lambda: False)
    assert draws.drawn == 10
    monkeypatch.setattr("bench.load.request_pool.MAX_MESSAGES", 7)
    draws.request_pool(bulk=2).fill(1000, lambda: False)
    assert draws.drawn == 10 + 8


def test_filling_ends_when_the_load_is_stopped() -> None:
    draws = Draws()
    draws.request_pool().fill(1000, lambda: draws.drawn >= 3)
    assert draws.drawn == 3
