"""Tasks with more messages than a batch may have."""

from __future__ import annotations

from collections import Counter

import pytest
from celery import Celery

from tests.parts import Stack, wait_for

TASK = "byline.attribute"
TEXTS = [f"aeiou {n}" for n in range(80)]


def client(stack: Stack) -> Celery:
    """Returns a plain Celery app."""
    url = stack.env["BYLINE_REDIS_URL"]
    app = Celery(broker=url, backend=url, set_as_current=False)
    app.conf.task_default_queue = "attributions"
    return app


@pytest.fixture
def slow(own: Stack) -> Stack:
    """A stack whose largest batch has 8 messages and takes 0.4 s."""
    own.env |= {
        "TEST_MODEL_MESSAGE_SECONDS": "0.05",
        "BYLINE_BATCH_MESSAGES": "8",
        "BYLINE_CHUNK_MESSAGES": "8",
        "BYLINE_BATCH_TIMEOUT_S": "2",  # the large task takes twice as long
    }
    return own


def test_a_large_task_delays_no_other_task_and_does_not_count_as_hung(slow: Stack) -> None:
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


def test_computed_results_of_a_large_task_outlive_its_worker(slow: Stack) -> None:
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
    # The results of the third pass may or may not have been stored.
    assert [counts[text] for text in TEXTS[:16]] == [1] * 16
    assert [counts[text] for text in TEXTS[24:]] == [1] * 56


def test_a_large_task_can_be_revoked_between_two_passes(slow: Stack) -> None:
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
