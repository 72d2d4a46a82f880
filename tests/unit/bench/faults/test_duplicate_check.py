"""Tests of the duplicate check: it counts changed answers, and retries requests without answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.faults.duplicate_check import DIGEST, DuplicateCheck, computed_twice
from bench.load.http_client import Target
from bench.load.messages import Message
from bench.load.recorder import Answer
from tests.unit.bench.load.test_load import ONE, PASSAGES, Reply, Server

ALSO_ONE = {**ONE, "confidence": 0.5}
REFUSED = {"error": {"code": "overloaded", "detail": ""}}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.faults.duplicate_check.PAUSE_S", 0.01)
    monkeypatch.setattr("bench.faults.duplicate_check.RETRY_FOR_S", 3.0)


def contradicted(reply: Reply) -> int:
    """Returns how many answers to two messages differ from the messages' first answers."""
    duplicate_check = DuplicateCheck(PASSAGES)
    sent = [Message(n, passage.text) for n, passage in enumerate(PASSAGES)]
    duplicate_check.note(sent, 0.0, 0.0, 0.1, [Answer(author="one", confidence=0.75)] * 2)
    server = Server(reply)
    try:
        return duplicate_check.contradicted(Target("127.0.0.1", server.port, "/"))
    finally:
        server.close()


def test_an_answer_that_differs_from_the_first_is_counted() -> None:
    assert contradicted(lambda number, body: (200, {"attributions": [ONE, ONE]})) == 0
    assert contradicted(lambda number, body: (200, {"attributions": [ONE, ALSO_ONE]})) == 1


def test_the_check_retries_until_all_messages_are_answered() -> None:
    answers: Iterator[tuple[int, object] | None] = iter(
        [
            (503, {"code": "broker_unavailable"}),
            None,
            (202, {"attributions": [ONE, {"id": "b", "location": "/b"}]}),
            (200, {"attributions": [ONE, REFUSED]}),
            (200, {"attributions": [ONE, ONE]}),
        ]
    )
    assert contradicted(lambda number, body: next(answers)) == 0
    assert next(answers, "none is left") == "none is left"


def test_a_message_that_is_never_answered_again_raises_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bench.faults.duplicate_check.RETRY_FOR_S", 0.0)
    with pytest.raises(RuntimeError, match="no answer: overloaded"):
        contradicted(lambda number, body: (200, {"attributions": [ONE, REFUSED]}))


def test_each_forward_pass_after_a_texts_first_counts(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    calls.write_bytes(b"".join(bytes([text]) * DIGEST for text in (1, 2, 1, 3, 1)))
    assert computed_twice(calls) == 2
