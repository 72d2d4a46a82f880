"""Tasks of more messages than a batch may hold."""

from __future__ import annotations

from collections import Counter

import pytest
from celery import Celery

from tests.parts import Stack, wait_for

TASK = "byline.attribute"
TEXTS = [f"aeiou {n}" for n in range(80)]


def client(stack: Stack) -> Celery:
    """A Celery app as anybody would make it."""
    url = stack.env["BYLINE_REDIS_URL"]
    app = Celery(broker=url, backend=url, set_as_current=False)
    app.conf.task_default_queue = "attributions"
    return app


@pytest.fixture
def slow(own: Stack) -> Stack:
    """A stack whose largest batch is of 8 messages and takes 0.4 s."""
    own.env |= {
        "TEST_MODEL_MESSAGE_SECONDS": "0.05",
        "BYLINE_BATCH_MESSAGES": "8",
        "BYLINE_CHUNK_MESSAGES": "8",
        "BYLINE_BATCH_TIMEOUT_S": "2",  # the large task takes twice as long
    }
    return own


def test_a_large_task_holds_nobody_up_and_its_worker_is_not_taken_for_hung(slow: Stack) -> None:
    worker = slow.worker()
    app = client(slow)
    large = app.send_task(TASK, [[*TEXTS, "", *TEXTS]])
    wait_for(lambda: len(slow.calls()) >= 8, what="the first pass")
    for number in range(3):
        [answer] = app.send_task(TASK, [[f"xyz {number}"]]).get(timeout=20)
        assert answer["author"] == "consonants"
    assert not large.ready(), "the others waited for all of it"
    answers = large.get(timeout=60)
    assert worker.alive
    assert len(answers) == 161
    assert answers[80]["error"]["code"] == "invalid"
    assert [answer["id"] for answer in answers[:80]] == [answer["id"] for answer in answers[81:]]
    assert {answer["author"] for answer in answers[:80]} == {"vowels"}
    assert set(Counter(slow.calls()).values()) == {1}
    wait_for(lambda: slow.held() == 0, what="the task to be acknowledged")


def test_what_was_computed_of_a_large_task_outlives_its_worker(slow: Stack) -> None:
    first = slow.worker(name="first")
    app = client(slow)
    large = app.send_task(TASK, [TEXTS])
    wait_for(lambda: len(slow.calls()) >= 24, what="the third pass")
    first.kill()
    slow.worker(name="second")
    wait_for(lambda: len(slow.calls()) > 24, what="the task to be delivered again")
    app.send_task(TASK, [["xyz"]]).get(timeout=20)
    assert not large.ready(), "the others waited for all of it"
    answers = large.get(timeout=60)
    assert {answer["author"] for answer in answers} == {"vowels"}
    counts = Counter(slow.calls())
    # Of the third pass it is not known whether it was stored.
    assert [counts[text] for text in TEXTS[:16]] == [1] * 16
    assert [counts[text] for text in TEXTS[24:]] == [1] * 56


def test_a_large_task_is_called_off_between_two_passes(slow: Stack) -> None:
    slow.worker()
    app = client(slow)
    large = app.send_task(TASK, [TEXTS])
    wait_for(lambda: len(slow.calls()) >= 8, what="the first pass")
    app.control.revoke(large.id)
    wait_for(lambda: large.state == "REVOKED", what="its end")
    assert len(slow.calls()) < 80
    wait_for(lambda: slow.held() == 0)


def test_a_task_of_too_many_messages_is_refused(own: Stack) -> None:
    own.worker()
    refused = client(own).send_task(TASK, [["a"] * 20_001])
    with pytest.raises(Exception, match="20,001 messages; at most 20,000, send several tasks"):
        refused.get(timeout=30)
    assert own.calls() == []
