"""An unreadable value in Redis does not affect other values, and stops no process."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
from redis import Redis
from redis.asyncio import Redis as AsyncRedis

from api.access.keys import ApiKey
from api.access.rate_limiter import LIMIT, RateLimiter
from celery_app.app import make_celery
from celery_app.settings import Settings
from monitoring.state.windows import ANSWERS, Window
from monitoring.state.windows import VERSIONS as ANSWERED
from tasks.errors import RateLimited
from tasks.messages import MODEL, REPLIES, VERSIONS, WORKERS, Reply, message_id
from tasks.rollout import ROLLOUT, WorkerRegistry, workers_of
from tasks.storage.dead_letters import DEAD_LETTERS, MALFORMED, DeadLetter, DeadLetters
from tasks.storage.pending_results import PROMISED, PROMISES
from tasks.storage.result_cache import ATTEMPTS, FAILURE, RESULT
from tests.parts import Part, Stack, wait_for

VERSION = "vowels-1"
TRACEBACK = "Traceback (most recent call last)"
#: Values to store where a string of Byline's should be.
GARBAGE: dict[str, Any] = {
    "empty": b"",
    "text": b"garbage",
    "not UTF-8": b'["\xff"]',
    "number": b"5",
    "list": b"[]",
    "object": b"{}",
    "deep": b"[" * 5000,
    "of another kind": b'[9, "x"]',
    "half": b'[1, "vowels-1", "\\ud83d", 0.5, []]',
    "a list": ["a", "b"],
    "a hash": {"a": "b"},
}


def put(redis: Redis, key: str, value: Any) -> None:
    """Stores ``value`` under a key: bytes as a string, a list as a list, a dict as a hash."""
    redis.delete(key)
    if isinstance(value, bytes):
        redis.set(key, value)
    elif isinstance(value, list):
        redis.rpush(key, *value)
    else:
        redis.hset(key, mapping=value)


def id_of(text: str) -> str:
    return message_id(VERSION, text)


def answer_in_time(stack: Stack, text: str, seconds: float = 5.0) -> dict[str, Any]:
    started = time.monotonic()
    response = stack.attribute({"text": text})
    assert response.status_code == 200, response.text
    assert time.monotonic() - started < seconds
    return response.json()


def no_traceback(*parts: Part) -> None:
    for part in parts:
        assert part.alive, part.output[-3000:]
        assert TRACEBACK not in part.output, part.output[part.output.find(TRACEBACK) :][:3000]


@pytest.fixture
def serving(own: Stack) -> Stack:
    own.worker()
    own.api()
    return own


def test_results_that_cant_be_read_are_computed_again_alone(serving: Stack) -> None:
    texts = {name: f"message with {name}" for name in GARBAGE}
    for name, text in texts.items():
        put(serving.redis, RESULT + id_of(text), GARBAGE[name])
        put(serving.redis, f"byline:attribution:{id_of(text)}", GARBAGE[name])
        put(serving.redis, FAILURE + id_of(text), GARBAGE[name])
        read = httpx.get(f"{serving.url}/v1/attributions/{id_of(text)}")
        assert read.status_code == 404, (name, read.text)
    known = answer_in_time(serving, "known")
    # A new api process has an empty local cache, so that it asks the cache.
    serving.parts.pop().stop()
    serving.api()
    messages = [{"text": text} for text in [*texts.values(), "known"]][-8:]
    bulk = serving.attribute({"messages": messages}).json()["attributions"]
    assert [item["cached"] for item in bulk] == [False] * 7 + [True]
    assert bulk[-1]["id"] == known["id"]
    for name, text in texts.items():
        answer_in_time(serving, text)
        again = httpx.get(f"{serving.url}/v1/attributions/{id_of(text)}")
        assert again.status_code == 200, (name, again.text)
    calls = serving.calls()
    assert calls.count("known") == 1
    app = make_celery(Settings.from_environ(serving.env))
    found = app.send_task("byline.attribute", [list(texts.values())]).get(timeout=10)
    assert all(item["cached"] for item in found)
    assert serving.calls() == calls
    no_traceback(*serving.parts)


def test_a_result_of_another_message_is_ignored(serving: Stack) -> None:
    answer = answer_in_time(serving, "first") | {"candidates": []}
    put(serving.redis, RESULT + id_of("second"), json.dumps(answer).encode())
    assert answer_in_time(serving, "second")["cached"] is False


@pytest.mark.parametrize("value", [b"junk", b"\xff\xfe", ["x"]], ids=str)
def test_a_pending_result_that_cant_be_read_is_ignored(serving: Stack, value: Any) -> None:
    put(serving.redis, PROMISED + "0" * 32, value)
    assert httpx.get(f"{serving.url}/v1/attributions/{'0' * 32}").status_code == 404
    no_traceback(*serving.parts)


@pytest.mark.parametrize("value", [b"garbage", b"9223372036854775807", ["x"]], ids=str)
def test_attempts_that_cant_be_read_are_counted_anew(own: Stack, value: Any) -> None:
    put(own.redis, ATTEMPTS + id_of("DEADLY"), value)
    put(own.redis, DEAD_LETTERS, ["no hash"])
    workers = [own.worker(name="0")]
    own.api()
    accepted = own.attribute({"text": "DEADLY"}, wait=0).json()["location"]

    def answered() -> httpx.Response | None:
        if not workers[-1].alive:
            workers.append(own.start_worker(name=str(len(workers))))
        response = httpx.get(own.url + accepted)
        return None if response.status_code == 202 else response

    assert wait_for(answered, 60).json()["code"] == "dead_letter"
    [letter] = DeadLetters(own.redis).all()
    assert isinstance(letter, DeadLetter)
    assert workers[-1].alive


def test_replies_that_cant_be_read_are_dropped_at_once(serving: Stack) -> None:
    answer_in_time(serving, "first")
    outcomes = [msgspec.json.decode(b'{"id": "x"}')]
    junk = [
        *(value for value in GARBAGE.values() if isinstance(value, bytes)),
        msgspec.json.encode(Reply("no such chunk", [])),
        json.dumps(["chunk", outcomes, True]).encode(),
        json.dumps(["chunk", [["id", "code"]], True]).encode(),
        json.dumps([5, [], True]).encode(),
    ]
    [replies] = _reply_lists(serving)
    for _ in range(5):
        serving.redis.lpush(replies, *junk)
        answer_in_time(serving, f"behind {len(serving.calls())} of them")
    page = httpx.get(f"http://127.0.0.1:{serving.env['BYLINE_API_METRICS_PORT']}/metrics").text
    [line] = [line for line in page.splitlines() if line.startswith("byline_replies_dropped_total")]
    assert float(line.split()[-1]) == 5 * (len(junk) - 1)
    api = serving.parts[-1]
    assert api.output.count("a reply can't be read") < 6
    no_traceback(*serving.parts)


def _reply_lists(stack: Stack) -> list[str]:
    """Returns the lists on which the api receives replies. Redis' slow log has their names."""
    stack.redis.config_set("slowlog-log-slower-than", 0)
    try:
        answer_in_time(stack, f"looked at {time.time()}")
        commands = [entry["command"] for entry in stack.redis.slowlog_get(128)]
    finally:
        stack.redis.config_set("slowlog-log-slower-than", 10_000)
    names = {word for c in commands for word in c.decode(errors="replace").split()}
    return sorted(name for name in names if name.startswith(REPLIES))


def test_a_reply_list_of_another_type_is_replaced(serving: Stack) -> None:
    answer_in_time(serving, "first")
    [replies] = _reply_lists(serving)
    for number in range(3):
        serving.redis.set(replies, "no list")
        serving.attribute({"text": f"may be lost {number}"}, wait=0.5)
        wait_for(lambda: serving.redis.type(replies) != b"string")
        answer_in_time(serving, f"after it {number}")
    wait_for(lambda: serving.held() == 0)
    no_traceback(*serving.parts)


#: Keys that several parts of Byline read or write.
SHARED: dict[str, Callable[[Stack], str]] = {
    "rollout": lambda _: ROLLOUT,
    "versions": lambda _: VERSIONS,
    "workers": lambda _: WORKERS,
    "workers of a version": lambda _: workers_of(VERSION),
    "model": lambda _: MODEL + VERSION,
    "memory": lambda own: f"byline:memory:{machine(own)}",
    "figures": lambda own: f"byline:figures:{machine(own)}",
    "alerts": lambda own: f"byline:alerts:{machine(own)}",
    "dead letters": lambda _: DEAD_LETTERS,
    "malformed tasks": lambda _: MALFORMED,
    "answered": lambda _: ANSWERED,
    "queue": lambda _: f"attributions.{VERSION}",
    "queue of all": lambda _: "attributions",
    "urgent queue": lambda _: f"attributions.{VERSION}\x06\x169",
    "unacknowledged": lambda _: "byline:unacked",
    "their index": lambda _: "byline:unacked:index",
    "their mutex": lambda _: "byline:unacked:mutex",
    "window": lambda _: window_key(),
    "pending_results": lambda _: PROMISES,
}


def machine(own: Stack) -> str:
    return Settings.from_environ(own.env).here


def window_key() -> str:
    window = Window(ANSWERS, 600)
    return window._key(VERSION, window._slice())


@pytest.mark.parametrize(
    "value", [b"garbage", b"[" * 5000, b"{}", ["a list"], {"a": "hash"}], ids=repr
)
def test_odd_values_of_shared_keys_stop_no_part(own: Stack, value: Any) -> None:
    worker, api, monitor = own.worker(), own.api(), own.monitor()
    answer_in_time(own, "before")
    for name, key in SHARED.items():
        put(own.redis, key(own), value)
        answer = wait_for(
            lambda n=name: (
                (r := own.attribute({"text": f"with {n} {time.time()}"})).status_code == 200 and r
            ),
            15,
            f"an answer though {name} is {value!r}",
        )
        assert answer.json()["author"]
    wait_for(lambda: own.held() == 0)
    # New processes work as well.
    own.worker(name="two")
    wait_for(
        lambda: WorkerRegistry(own.redis).look().workers.get(VERSION) == 2, what="both to sign"
    )
    api.stop()
    own.api()
    wait_for(lambda: own.attribute({"text": f"by new ones {time.time()}"}).status_code == 200)
    wait_for(lambda: httpx.get(f"{own.url}/readyz").status_code == 200)
    assert httpx.get(f"{own.url}/v1/models").status_code == 200
    figures = wait_for(lambda: httpx.get(f"{own.url}/v1/figures").json()["points"])
    assert all(point["at"] for point in figures)
    no_traceback(worker, monitor, *own.parts[-2:])


def test_values_that_are_no_counts_are_left_out(own: Stack) -> None:
    window = Window(ANSWERS, 600)
    with own.redis.pipeline(transaction=False) as pipe:
        window.add(pipe, VERSION, {"messages": 3})
        pipe.execute()
    odd = {"messages ": "x", b"\xff": "5", "a": "-3", "b": "9" * 5000, "c": "1.5", "d": ""}
    own.redis.hset(window_key(), mapping=odd)
    assert window.read(own.redis, VERSION) == {"messages": 3, "\ufffd": 5}
    own.redis.hset(window_key(), "messages", "garbage")
    with own.redis.pipeline(transaction=False) as pipe:
        window.add(pipe, VERSION, {"messages": 4})
        pipe.execute()
    assert window.read(own.redis, VERSION)["messages"] == 4


@pytest.mark.parametrize(
    "value", [b"garbage", b"1e300", b"inf", b"nan", b"-1e300", ["x"]], ids=repr
)
def test_a_rate_that_cant_be_read_is_counted_anew(own: Stack, value: Any) -> None:
    put(own.redis, LIMIT + "one", value)

    async def ask() -> int:
        async with AsyncRedis(port=own.redis_port) as client:
            limiter, key = RateLimiter(client), ApiKey("one", b"", 5.0)
            for number in range(20):
                try:
                    await limiter.let_through(key, 1)
                except RateLimited:
                    return number
        return 20

    assert asyncio.run(ask()) == pytest.approx(5, abs=1)


@pytest.mark.parametrize("value", [["x"], {"a": "b"}], ids=repr)
def test_stored_feedback_of_a_wrong_type_is_replaced(serving: Stack, value: Any) -> None:
    answer = answer_in_time(serving, "who was it")
    put(serving.redis, f"byline:feedback:{answer['id']}", value)
    feedback = {"id": answer["id"], "author": "vowels"}
    for _ in range(2):
        said = httpx.post(f"{serving.url}/v1/feedback", json=feedback, timeout=10)
        assert said.status_code == 202, said.text
    assert serving.redis.get(f"byline:feedback:{answer['id']}") == b"vowels"
