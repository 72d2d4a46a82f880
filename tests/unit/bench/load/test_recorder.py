"""Tests of the recorder: its figures do not depend on when it decodes a response."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from bench.load.messages import Message, Passage
from bench.load.recorder import ADDED_BYTES, Answer, Recorder, outcomes

PASSAGES = [Passage("by one", "one"), Passage("by two", "two")]
ONE = {"author": "one", "confidence": 0.75, "candidates": [{"author": "one"}], "cached": True}
TWO = {"author": None, "confidence": 0.25, "candidates": [{"author": "two"}]}
BAD = {"error": {"code": "invalid", "detail": ""}}
SENT = [Message(0, "by one"), Message(1, "by two")]

#: The messages of a request, and the body of its response.
Exchange = tuple[Sequence[Message], object]
EXCHANGES: list[Exchange] = [
    (SENT[:1], ONE),
    (SENT[1:], ONE),
    (SENT[:1], {"author": 5}),
    (SENT[1:], TWO),
    (SENT, {"attributions": [ONE, BAD]}),
    (SENT, {"attributions": [ONE]}),
    (SENT, {"attributions": [ONE, TWO]}),
]


def kept(exchanges: Sequence[Exchange]) -> Recorder:
    recorder = Recorder(PASSAGES)
    for number, (messages, answer) in enumerate(exchanges):
        recorder.keep(messages, number, 0.001, 0.1, json.dumps(answer).encode())
    return recorder


def figures(recorder: Recorder) -> list[object]:
    arrays = (recorder.due, recorder.late, recorder.sent, recorder.answered, recorder.cached)
    judged = (recorder.confidence, recorder.right, recorder.named)
    latencies = [str(latency) for latency in recorder.latency]  # NaN does not equal itself
    counts = [recorder.failed, recorder.by_passage, recorder.promised]
    return [*map(list, arrays), *map(list, judged), latencies, *counts]


def test_a_kept_response_counts_like_a_noted_one() -> None:
    noted = Recorder(PASSAGES)
    for number, (messages, answer) in enumerate(EXCHANGES):
        found = outcomes(200, json.dumps(answer).encode(), len(messages) > 1)
        noted.note(messages, number, 0.001, 0.1, found)
    recorder = kept(EXCHANGES)
    recorder.judge_kept()
    assert figures(recorder) == figures(noted)
    assert recorder.failed == {"not an answer": 1, "invalid": 1, "answers missing": 2}
    assert list(recorder.answered) == [1, 1, 0, 1, 1, 0, 2]
    assert list(recorder.right) == [1, 0, 1, 1, 1, 1]


def test_a_failure_between_kept_responses_does_not_shift_their_indices() -> None:
    recorder = kept(EXCHANGES[:1])
    recorder.note(SENT[:1], 1.0, 0.001, 0.1, "overloaded")
    recorder.keep(SENT[:1], 2.0, 0.001, 0.1, json.dumps({"author": 5}).encode())
    recorder.keep(SENT[:1], 3.0, 0.001, 0.1, json.dumps(ONE).encode())
    assert recorder.failed == {"overloaded": 1}  # counted at once
    recorder.judge_kept()
    assert [latency == latency for latency in recorder.latency] == [True, False, False, True]
    assert list(recorder.answered) == list(recorder.cached) == [1, 0, 0, 1]


def test_promised_bulk_items_are_listed_by_location() -> None:
    body = json.dumps({"attributions": [ONE, {"id": "b", "location": "/b"}]}).encode()
    recorder = Recorder(PASSAGES)
    recorder.note(SENT, 0.0, 0.001, 0.1, outcomes(202, body, bulk=True))
    assert recorder.promised == ["/b"]
    assert recorder.failed == {Recorder.PROMISED: 1}
    assert list(recorder.answered) == [1]


def test_beyond_the_limit_each_new_response_decodes_the_oldest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = len(json.dumps(ONE)) + len(SENT[0].text) + ADDED_BYTES
    monkeypatch.setattr("bench.load.recorder.KEPT_BYTES", 3 * size)
    recorder = kept([(SENT[:1], ONE)] * 10)
    assert sum(recorder.answered) == len(recorder.right) == 7
    recorder.judge_kept()
    assert list(recorder.answered) == [1] * 10


def test_an_answer_is_judged_with_the_index_of_its_request() -> None:
    indices = []

    class Noting(Recorder):
        def _judge(self, message: Message, answer: Answer, index: int) -> None:
            super()._judge(message, answer, index)
            indices.append((index, message.passage, self.due[index]))

    recorder = Noting(PASSAGES)
    recorder.note(SENT[:1], 0.0, 0.0, 0.1, "overloaded")
    recorder.keep(SENT, 1.0, 0.0, 0.1, json.dumps({"attributions": [ONE, TWO]}).encode())
    recorder.note(SENT[:1], 2.0, 0.0, 0.1, [Answer(author="one")])
    recorder.judge_kept()
    assert indices == [(2, 0, 2.0), (1, 0, 1.0), (1, 1, 1.0)]
