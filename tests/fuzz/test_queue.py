"""Odd tasks on the queue and odd values in Redis do not harm other messages."""

from __future__ import annotations

import base64
import itertools
import json
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.messages import MODEL, REPLIES, message_id
from tasks.rollout import ROLLOUT
from tasks.storage.pending_results import PROMISED
from tasks.storage.result_cache import ATTEMPTS, FAILURE, RESULT
from tests.fuzz.given import ANY_TEXT, PIECES, TEXTS, VALUES, spoiled
from tests.fuzz.judge import share
from tests.parts import Stack, wait_for

VERSION = "vowels-1"
QUEUES = ["attributions", f"attributions.{VERSION}", f"attributions.{VERSION}\x06\x169"]
#: Seconds within which a message must be answered after odd tasks, on a busy machine.
LONG_S = 5.0
#: Seconds without a refusal after which the api has replaced all odd registrations of workers.
SETTLED_S = 3.0
_numbers = itertools.count()

ARGUMENTS = st.tuples(
    st.lists(st.lists(TEXTS | VALUES, max_size=3), max_size=2) | VALUES,
    st.dictionaries(st.sampled_from(["deadlines", "explain", "version"]), VALUES) | VALUES,
    st.none() | st.just({}) | VALUES,
)


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def _parts(names: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Returns some of these names, each with any value."""
    return st.dictionaries(st.sampled_from(names.split()), values, max_size=3)


@st.composite
def nearly_tasks(draw: st.DrawFn) -> dict[str, Any]:
    """Returns a task as Celery writes it, with some of its parts replaced."""
    body = _encoded(draw(ARGUMENTS))
    if draw(st.booleans()):
        body = draw(spoiled(body))
    headers: Any = {"task": "byline.attribute", "id": str(uuid4()), "lang": "py"}
    headers |= draw(
        _parts(
            "task id root_id parent_id group shadow eta expires retries timelimit compression "
            "ignore_result stamped_headers stamps argsrepr byline_sent byline_orphaned extra",
            VALUES,
        )
    )
    info = {"exchange": "", "routing_key": "attributions"}
    properties: Any = {
        "delivery_tag": str(uuid4()),
        "delivery_info": info | draw(_parts("exchange routing_key redelivered", VALUES)),
        "body_encoding": "base64",
        "reply_to": draw(st.just(f"{REPLIES}nobody") | ANY_TEXT.map(REPLIES.__add__)),
    }
    properties |= draw(
        _parts("delivery_tag delivery_info body_encoding reply_to priority correlation_id", VALUES)
    )
    return {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": properties,
        **draw(_parts("body content-encoding content-type headers properties", VALUES)),
    }


NEARLY = nearly_tasks().map(_encoded)
RAW = st.binary(max_size=200) | VALUES.map(_encoded) | st.sampled_from(PIECES)
TASKS = st.one_of(NEARLY, NEARLY.flatmap(spoiled), RAW)


def answered(stack: Stack) -> None:
    """Checks that a new message is answered as usual."""
    started = time.monotonic()
    response = stack.attribute({"text": f"number {next(_numbers)}"})
    assert response.status_code == 200, response.text
    assert time.monotonic() - started < LONG_S


@settings(max_examples=share(0.1))
@given(tasks=st.lists(TASKS, min_size=1, max_size=10), queue=st.sampled_from(QUEUES))
def test_odd_tasks_on_the_queue(stack: Stack, tasks: list[bytes], queue: str) -> None:
    stack.redis.lpush(queue, *tasks)
    answered(stack)


@settings(max_examples=share(0.02))
@given(entries=st.lists(TASKS | TASKS.map(b'[%s, "", "attributions"]'.__mod__), max_size=10))
def test_odd_tasks_that_dead_workers_held(stack: Stack, entries: list[bytes]) -> None:
    for entry in entries:
        tag = str(uuid4())
        stack.redis.hset("byline:unacked", tag, entry)
        stack.redis.zadd("byline:unacked:index", {tag: 1.0})
    answered(stack)


@settings(max_examples=share(0.05))
@given(value=RAW, place=st.sampled_from([RESULT, FAILURE, PROMISED, ATTEMPTS]))
def test_odd_values_in_the_cache(stack: Stack, value: bytes, place: str) -> None:
    text = f"kept {next(_numbers)}"
    id = message_id(VERSION, text)
    stack.redis.set(place + id, value)
    read = httpx.get(f"{stack.url}/v1/attributions/{id}")
    # A pending result without a task ends with `no_answer`.
    assert read.status_code in ((202, 404, 503) if place == PROMISED else (202, 404)), read.text
    bulk = stack.attribute({"messages": [{"text": text}, {"text": f"beside {text}"}]})
    assert all("author" in item for item in bulk.json()["attributions"]), bulk.text


@settings(max_examples=share(0.02))
@given(value=RAW, key=st.sampled_from([ROLLOUT, MODEL + VERSION]))
def test_odd_registrations_of_workers(stack: Stack, value: bytes, key: str) -> None:
    stack.redis.set(key, value)
    wait_for(lambda: stack.attribute({"text": f"{next(_numbers)}"}).status_code == 200, 10)


def settle(stack: Stack) -> None:
    """Waits until the api has refused no message for ``SETTLED_S`` seconds."""
    since = time.monotonic()

    def is_settled() -> bool:
        nonlocal since
        if stack.attribute({"text": f"{next(_numbers)}"}).status_code != 200:
            since = time.monotonic()
        return time.monotonic() > since + SETTLED_S

    wait_for(is_settled, 30, "the workers to have signed anew")


@pytest.fixture(scope="module")
def replies(stack: Stack) -> str:
    """Returns the list on which the api receives replies. Redis' slow log has its name."""
    settle(stack)
    stack.redis.config_set("slowlog-log-slower-than", 0)
    try:
        answered(stack)
        commands = [
            entry["command"].decode(errors="replace") for entry in stack.redis.slowlog_get(128)
        ]
    finally:
        stack.redis.config_set("slowlog-log-slower-than", 10_000)
    words = {word for command in commands for word in command.split()}
    [name] = [word for word in words if word.startswith(REPLIES) and "nobody" not in word]
    return name


@settings(max_examples=share(0.05))
@given(values=st.lists(RAW, min_size=1, max_size=10))
def test_odd_replies(stack: Stack, replies: str, values: list[bytes]) -> None:
    stack.redis.lpush(replies, *values)
    answered(stack)


def test_the_queue_is_empty_at_the_end(stack: Stack) -> None:
    wait_for(lambda: stack.held() == 0, 60, what="the queue to be empty")
    wait_for(lambda: not stack.redis.zcard("byline:unacked:index"))
    for _ in range(10):
        answered(stack)
