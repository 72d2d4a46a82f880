"""Texts with feedback are kept where it is set, with the true author, and for some days only."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from celery_app.client.labels import FEEDBACK
from tasks.feedback.kept_texts import (
    BYTES,
    DAY_S,
    ENDS,
    KEPT,
    Kept,
    KeptTexts,
    LabelledText,
)
from tasks.feedback.waiting_texts import TEXT
from tests.integration.loop.keeping import everything, keep_text
from tests.parts import Stack, wait_for

KEEP = {"BYLINE_KEEP_FEEDBACK": "30"}


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Byline that keeps texts with feedback."""
    stack = Stack(tmp_path_factory.mktemp("keeping"), **KEEP)
    try:
        stack.valkey()
        stack.worker()
        stack.api()
        yield stack
    finally:
        stack.close()


@pytest.fixture
def keeping(started: Stack) -> Stack:
    """Returns the Byline that keeps texts, without feedback and texts of the last test.

    The cache still has the attributions, so each test needs texts of its own.
    """
    for pattern in (FEEDBACK, TEXT, KEPT):
        for key in started.redis.scan_iter(f"{pattern}*"):
            started.redis.delete(key)
    return started


def attributed(stack: Stack, text: str) -> str:
    answer = stack.attribute({"text": text})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def tell(stack: Stack, id: str, author: str, **more: Any) -> httpx.Response:
    body = {"id": id, "author": author, **more}
    return httpx.post(f"{stack.url}/v1/feedback", json=body, timeout=20)


def kept(stack: Stack) -> list[tuple[str, str]]:
    return [(text.author, text.text) for text in KeptTexts(stack.redis).all().texts]


def counted(stack: Stack) -> dict[str, float]:
    """Returns the metric ``byline_feedback_texts_total`` by outcome."""
    url = f"http://127.0.0.1:{stack.env['BYLINE_API_METRICS_PORT']}/metrics"
    lines = httpx.get(url, timeout=10).text.splitlines()
    found = (line.split('"') for line in lines if line.startswith("byline_feedback_texts_total"))
    return {outcome: float(value.strip("} ")) for _, outcome, value in found}


def command(stack: Stack, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "celery_app.kept_feedback", *arguments],
        env={"BYLINE_REDIS_URL": stack.env["BYLINE_REDIS_URL"]},
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    )
    return done.stdout


def test_no_text_stays_in_redis_if_nothing_is_kept(own: Stack) -> None:
    own.worker()
    own.api()
    text = "nothing of this text is kept"
    assert tell(own, attributed(own, text), "vowels").status_code == 202
    wait_for(lambda: own.held() == 0, what="the queue to be empty")
    assert text.encode() not in everything(own.redis)
    assert list(own.redis.scan_iter(f"{TEXT}*")) == []
    assert list(own.redis.scan_iter(f"{KEPT}*")) == []


def test_text_waits_for_feedback_as_long_as_its_attribution(keeping: Stack) -> None:
    id = attributed(keeping, "waits for feedback")
    assert keeping.redis.get(TEXT + id) == b"waits for feedback"
    ends = [keeping.redis.expiretime(key) for key in (TEXT + id, f"byline:result:{id}")]
    assert abs(ends[0] - ends[1]) <= 1
    assert 86_000 < ends[0] - time.time() <= 86_401
    assert kept(keeping) == []
    assert b"waits for feedback" in everything(keeping.redis)


def test_text_is_kept_for_the_days_of_the_setting_once_its_author_is_known(keeping: Stack) -> None:
    id, counts = attributed(keeping, "aeiou with feedback"), counted(keeping)
    before = time.time()
    assert tell(keeping, id, " consonants ").status_code == 202
    [text] = KeptTexts(keeping.redis).all().texts
    assert (text.author, text.version, text.text) == (
        *("consonants", "vowels-1", "aeiou with feedback"),
    )
    assert before + 30 * DAY_S <= text.until <= time.time() + 30 * DAY_S
    assert keeping.redis.ttl(KEPT) == -1, "a full Redis would evict the key"
    assert keeping.redis.exists(TEXT + id) == 0
    assert counted(keeping) == counts | {"kept": counts["kept"] + 1}


def test_correction_corrects_the_kept_author_and_repeated_feedback_changes_nothing(
    keeping: Stack,
) -> None:
    id, counts = attributed(keeping, "corrected"), counted(keeping)
    tell(keeping, id, "consonants")
    assert tell(keeping, id, "vowels").status_code == 409
    assert kept(keeping) == [("consonants", "corrected")]
    for _ in range(2):
        assert tell(keeping, id, "vowels", corrects=True).status_code == 202
        assert kept(keeping) == [("vowels", "corrected")]
    assert keeping.redis.zcard(ENDS) == 1
    more = {name: counts[name] + 1 for name in ("kept", "corrected")}
    assert counted(keeping) == counts | more


def test_feedback_on_a_text_that_is_gone_counts_and_keeps_nothing(keeping: Stack) -> None:
    id, counts = attributed(keeping, "evicted"), counted(keeping)
    keeping.redis.delete(TEXT + id)
    assert tell(keeping, id, "vowels").status_code == 202
    assert kept(keeping) == []
    assert counted(keeping) == counts | {"no_text": counts["no_text"] + 1}


def test_each_text_of_a_bulk_request_waits(keeping: Stack) -> None:
    bulk = {"messages": [{"text": f"one of three, {number}"} for number in range(3)]}
    ids = [item["id"] for item in keeping.attribute(bulk).json()["attributions"]]
    assert [keeping.redis.exists(TEXT + id) for id in ids] == [1, 1, 1]


def test_oldest_texts_make_way_once_all_take_too_much_memory(own: Stack) -> None:
    own.env |= KEEP | {"BYLINE_KEEP_FEEDBACK_MEGABYTES": "1"}
    own.worker()
    own.api()
    long = "aeiou " * 3000
    for number in range(60):
        tell(own, attributed(own, f"{number} {long}"), "vowels").raise_for_status()
    numbers = [int(text.split()[0]) for _, text in kept(own)]
    assert 50 <= len(numbers) < 60
    assert numbers == list(range(60))[-len(numbers) :]
    size = int(own.redis.hget(KEPT, BYTES) or 0)
    assert 0.9 * 2**20 < size <= 2**20
    taken = own.redis.memory_usage(KEPT, samples=0) + own.redis.memory_usage(ENDS, samples=0)
    assert taken < 1.1 * 2**20
    assert counted(own)["dropped"] == 60 - len(numbers)


def test_workers_delete_texts_whose_days_have_ended_though_nothing_is_kept_any_more(
    own: Stack,
) -> None:
    keep_text(own, "1", LabelledText(time.time() + 1, "vowels", "vowels-1", "ends"))
    keep_text(own, "2", LabelledText(time.time() + 900, "vowels", "vowels-1", "stays"))
    own.worker()
    wait_for(lambda: own.redis.hexists(KEPT, "1") is False, what="the worker to delete it")
    assert kept(own) == [("vowels", "stays")]
    raw, size = own.redis.hget(KEPT, "2"), int(own.redis.hget(KEPT, BYTES) or 0)
    assert len(raw or b"") < size < len(raw or b"") + 300


def test_text_whose_days_have_ended_is_not_read_before_it_is_deleted(own: Stack) -> None:
    keep_text(own, "1", LabelledText(time.time() - 1, "vowels", "vowels-1", "has ended"))
    assert kept(own) == []
    assert own.redis.hexists(KEPT, "1")


def test_store_of_a_wrong_type_counts_as_one_unreadable_record(own: Stack) -> None:
    own.redis.set(KEPT, "garbage")
    assert KeptTexts(own.redis).all() == Kept([], 1)
    assert command(own, "list") == "no text with feedback is kept\nrecords that can't be read: 1\n"
    assert command(own, "erase", "Ann") == "kept texts of 'Ann' erased: 0\n"


def test_all_texts_of_one_author_are_erased_and_listed_without_texts(keeping: Stack) -> None:
    for author, text in (("Ann", "one"), ("Bob", "two"), ("Ann", "three")):
        tell(keeping, attributed(keeping, text), author).raise_for_status()
    listed = command(keeping, "list")
    assert [line.split()[::3] for line in listed.splitlines()[1:]] == [["2", "Ann"], ["1", "Bob"]]
    assert "three" not in listed
    assert command(keeping, "erase", "Ann ") == "kept texts of 'Ann' erased: 2\n"
    assert kept(keeping) == [("Bob", "two")]
    assert b"three" not in everything(keeping.redis)
    assert command(keeping, "erase", "Ann") == "kept texts of 'Ann' erased: 0\n"
    command(keeping, "erase", "Bob")
    assert list(keeping.redis.scan_iter(f"{KEPT}*")) == []
    assert command(keeping, "list") == "no text with feedback is kept\n"


def test_erased_text_does_not_come_back_with_the_same_feedback(keeping: Stack) -> None:
    id = attributed(keeping, "erased")
    tell(keeping, id, "Ann")
    command(keeping, "erase", "Ann")
    assert tell(keeping, id, "Ann").status_code == 202
    assert kept(keeping) == []


@pytest.mark.parametrize(
    "raw",
    [b"", b"garbage", b'[1, "Ann"]', b'["\xff"]', b"[" * 5000, b'{"a": 1}'],
    ids=["empty", "text", "short", "not UTF-8", "deep", "object"],
)
def test_record_that_cant_be_read_is_skipped_and_counted(keeping: Stack, raw: bytes) -> None:
    id = attributed(keeping, f"damaged, {len(raw)} bytes")
    for each in (id, attributed(keeping, f"whole, beside {len(raw)} bytes")):
        tell(keeping, each, "vowels").raise_for_status()
    keeping.redis.hset(KEPT, id, raw)
    found = KeptTexts(keeping.redis).all()
    texts = [text.text for text in found.texts]
    assert (texts, found.unreadable) == ([f"whole, beside {len(raw)} bytes"], 1)
    assert command(keeping, "list").endswith("records that can't be read: 1\n")
    assert tell(keeping, id, "consonants", corrects=True).status_code == 202
    assert command(keeping, "erase", "vowels") == "kept texts of 'vowels' erased: 1\n"


@pytest.mark.parametrize("key", [KEPT, ENDS])
def test_key_of_a_wrong_type_makes_way_for_new_texts(keeping: Stack, key: str) -> None:
    tell(keeping, attributed(keeping, f"before {key}"), "vowels").raise_for_status()
    keeping.redis.delete(key)
    keeping.redis.set(key, "garbage")
    tell(keeping, attributed(keeping, f"after {key}"), "vowels").raise_for_status()
    texts = [text for _, text in kept(keeping)]
    assert texts == ([f"after {key}"] if key == KEPT else [f"before {key}", f"after {key}"])

    def ends() -> bool:
        return keeping.redis.type(ENDS) == b"zset" and keeping.redis.zcard(ENDS) == len(texts)

    wait_for(ends, what="the worker to restore when texts end")


def test_waiting_text_of_a_wrong_type_keeps_nothing(keeping: Stack) -> None:
    id = attributed(keeping, "of a wrong type")
    keeping.redis.delete(TEXT + id)
    keeping.redis.rpush(TEXT + id, "a list")
    assert tell(keeping, id, "vowels").status_code == 202
    assert kept(keeping) == []


def test_text_with_odd_characters_is_kept_as_it_is(keeping: Stack) -> None:
    text = 'a "quoted" \\ line\nand \u2028, \U0001f600, \x7f and / so on'
    id = attributed(keeping, text)
    assert tell(keeping, id, 'O"Neil \\ \u00e9').status_code == 202
    assert kept(keeping) == [('O"Neil \\ \u00e9', text)]
    raw = keeping.redis.hget(KEPT, id)
    assert raw is not None
    assert json.loads(raw)[3] == text


def test_lost_response_of_redis_is_made_up_for_when_feedback_is_sent_again(keeping: Stack) -> None:
    id = attributed(keeping, "kept at the second try")
    # As after a failure between the two commands: the author is recorded, and the text still waits.
    keeping.redis.set(FEEDBACK + id, "vowels", ex=1000)
    assert tell(keeping, id, "vowels").status_code == 202
    assert kept(keeping) == [("vowels", "kept at the second try")]
