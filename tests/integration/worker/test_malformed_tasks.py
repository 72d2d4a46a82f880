"""Each unreadable task becomes a dead letter. It delays no other task, and ends no worker."""

from __future__ import annotations

import sys
import time
from base64 import b64encode
from uuid import uuid4

import httpx
import pytest
from celery import Celery

from celery_app.app import make_celery
from celery_app.settings import Settings
from monitoring.instruments.metrics import MALFORMED
from tasks.messages import REPLIES
from tasks.storage.dead_letters import MALFORMED as MALFORMED_KEY
from tasks.storage.dead_letters import MALFORMED_KEPT, DeadLetters, MalformedTask
from tests.integration.worker.malformed_tasks import BROKEN, ODD, SECRET, TRACEBACK, raw, task
from tests.parts import Part, Stack, free_port, wait_for

QUEUE = "attributions.vowels-1"
#: Seconds within which a message is answered on a busy machine. A new connection takes longer.
LONG_S = 5.0


@pytest.fixture
def serving(own: Stack) -> tuple[Stack, Part]:
    """A stack with an api and a worker, and the worker."""
    own.env["TEST_METRICS_PORT"] = port = str(free_port())
    worker = own.worker(BYLINE_METRICS_PORT=port)
    own.api()
    assert own.attribute({"text": "before"}).status_code == 200
    return own, worker


def answered_at_once(stack: Stack, text: str) -> None:
    started = time.monotonic()
    response = stack.attribute({"text": text})
    assert response.status_code == 200, response.text
    assert time.monotonic() - started < LONG_S


def malformed(stack: Stack) -> list[MalformedTask]:
    return [t for t in DeadLetters(stack.redis).all() if isinstance(t, MalformedTask)]


def check_whole(stack: Stack, worker: Part) -> None:
    """Checks that no task is left, each part is alive, and the log has no traceback or text."""
    wait_for(lambda: stack.held() == 0, what="nothing to be held")
    wait_for(lambda: stack.redis.zcard("byline:unacked:index") == 0)
    assert worker.alive, worker.output[-3000:]
    assert "Connection to broker lost" not in worker.output
    assert TRACEBACK not in worker.output, worker.output[worker.output.find(TRACEBACK) :][:4000]
    assert SECRET not in worker.output
    assert b64encode(SECRET.encode())[:-4].decode() not in worker.output
    for part in stack.parts:
        assert part.alive


def test_each_broken_task_becomes_one_dead_letter_and_delays_no_message(
    serving: tuple[Stack, Part],
) -> None:
    stack, worker = serving
    for number, (name, broken) in enumerate(BROKEN.items()):
        stack.redis.lpush(QUEUE, raw(broken))
        answered_at_once(stack, f"behind {name}")
        wait_for(lambda n=number: len(malformed(stack)) == n + 1, what=f"a dead letter of {name}")
    letters = malformed(stack)
    assert {letter.kind for letter in letters} <= set(MALFORMED)
    assert {letter.queue for letter in letters} == {QUEUE}
    assert [letter.size for letter in letters] == [len(raw(broken)) for broken in BROKEN.values()]
    assert SECRET not in repr(letters)
    kinds = {name: letter.kind for name, letter in zip(BROKEN, letters, strict=True)}
    expected = {
        "no id": "no id",
        "no task": "no task name",
        "not UTF-8": "not UTF-8",
        "not closed": "not JSON",
        "deep": "nested too deeply",
        "no properties": "wrong properties",
        "body no base64": "unreadable body",
        "kwargs list": "wrong arguments",
        "retries text": "wrong header",
    }
    assert {name: kinds[name] for name in expected} == expected
    assert counted(stack) == len(BROKEN)
    for kind in set(kinds.values()):
        assert worker.output.count(f"tasks that can't be read become dead letters: {kind}\n") == 1
    check_whole(stack, worker)


def counted(stack: Stack) -> int:
    """Returns the number of malformed tasks in the worker's metrics."""
    page = httpx.get(f"http://127.0.0.1:{stack.env['TEST_METRICS_PORT']}/metrics").text
    lines = [line for line in page.splitlines() if line.startswith("byline_malformed_tasks_total")]
    assert len(lines) == len(MALFORMED)
    return round(sum(float(line.rpartition(" ")[2]) for line in lines))


def test_each_odd_task_is_run(serving: tuple[Stack, Part]) -> None:
    stack, worker = serving
    stack.redis.set(f"{REPLIES}text", "no list")
    for name, odd in ODD.items():
        stack.redis.lpush(QUEUE, raw(odd))
        answered_at_once(stack, f"behind {name}")
        id = odd["headers"]["id"]
        wait_for(lambda at=id: stack.redis.get(f"celery-task-meta-{at}"), what=f"result of {name}")
    assert malformed(stack) == []
    check_whole(stack, worker)


def test_a_burst_of_broken_and_odd_tasks_delays_no_message(serving: tuple[Stack, Part]) -> None:
    stack, worker = serving
    tasks = [raw(each) for each in [*BROKEN.values(), *ODD.values()]]
    stack.redis.lpush("attributions", *tasks)
    stack.redis.lpush(QUEUE, *tasks)
    stack.redis.lpush(f"{QUEUE}\x06\x169", *tasks)
    for number in range(20):
        answered_at_once(stack, f"among them {number}")
    wait_for(lambda: stack.held() == 0)
    assert len(malformed(stack)) == 3 * len(BROKEN)
    check_whole(stack, worker)


def test_two_tasks_of_one_tag_are_both_kept_when_their_worker_dies(own: Stack) -> None:
    own.env["TEST_MODEL_SECONDS"] = "30"
    worker = own.worker(name="victim")
    tag = {"delivery_tag": "the same"}
    tasks = [task(properties=tag, payload=[[[f"number {n}"]], {}, {}]) for n in range(2)]
    for each in tasks:
        own.redis.lpush(QUEUE, raw(each))
    wait_for(lambda: own.redis.hlen("byline:unacked") == 2)
    worker.kill()
    own.worker(name="heir", TEST_MODEL_SECONDS="0")
    for each in tasks:
        wait_for(lambda e=each: own.redis.get(f"celery-task-meta-{e['headers']['id']}"))
    wait_for(lambda: own.held() == 0)


@pytest.fixture
def client(own: Stack) -> Celery:
    return make_celery(Settings.from_environ(own.env))


def test_half_of_a_surrogate_pair_fails_alone_also_when_its_worker_dies(
    own: Stack, client: Celery
) -> None:
    own.env["TEST_MODEL_SECONDS"] = "30"
    worker = own.worker(name="victim")
    result = client.send_task("byline.attribute", [["aeiou", "half \ud83d", "xyz"]])
    wait_for(own.calls)
    worker.kill()
    own.worker(name="heir", TEST_MODEL_SECONDS="0")
    first, half, last = result.get(timeout=20)
    assert (first["author"], last["author"]) == ("vowels", "consonants")
    assert half["error"]["detail"] == "text holds half of a surrogate pair"
    wait_for(lambda: own.held() == 0)


def test_an_unreadable_unacknowledged_task_becomes_a_dead_letter(own: Stack) -> None:
    entries = [
        *(b"", b"garbage", b"[]", b"5", b"null", b'[{}, "", "attributions"]', b"[" * 5000),
        b'[1, "", "x"]',
        b'[{"headers": {}, "properties": 5}, "", null]',
        raw([task(), "none such", "none such"]),
        raw([task(), {}, {}]),
        raw([task(headers=[1]), "", "attributions"]),
    ]
    good = task(payload=[[["held by the dead"]], {}, {}])
    for number, entry in enumerate([*entries, raw([good, "", "attributions"])]):
        own.redis.hset("byline:unacked", f"tag {number}", entry)
        own.redis.zadd("byline:unacked:index", {f"tag {number}": 1.0})
    own.redis.zadd("byline:unacked:index", {"of nothing": 1.0, b"\xff": 2.0})
    worker = own.worker()
    own.api()
    wait_for(lambda: own.held() == 0, what="the sweep")
    wait_for(lambda: "held by the dead" in own.calls())
    assert {letter.queue for letter in malformed(own)} == {"byline:unacked"}
    assert len(malformed(own)) == len(entries)
    answered_at_once(own, "after the sweep")
    check_whole(own, worker)


def test_a_task_that_is_missing_in_the_index_is_found(own: Stack) -> None:
    for number, score in enumerate([None, 1e18, float("inf")]):
        entry = raw([task(payload=[[[f"lost {number}"]], {}, {}]), "", "attributions"])
        own.redis.hset("byline:unacked", f"tag {number}", entry)
        if score is not None:
            own.redis.zadd("byline:unacked:index", {f"tag {number}": score})
    own.redis.set("byline:unacked:mutex", "held for ever")
    worker = own.worker()
    wait_for(lambda: set(own.calls()) == {f"lost {number}" for number in range(3)})
    check_whole(own, worker)


def test_a_worker_with_unreadable_unacknowledged_tasks_stops_cleanly(own: Stack) -> None:
    own.env["TEST_MODEL_SECONDS"] = "1"
    worker = own.worker()
    for number in range(5):
        own.redis.lpush(QUEUE, raw(task(payload=[[[f"number {number}"]], {}, {}])))
    wait_for(lambda: own.redis.hlen("byline:unacked") > 1)
    for tag in own.redis.hkeys("byline:unacked")[:-1]:
        own.redis.hset("byline:unacked", tag, "garbage")
    assert worker.stop() == 0, worker.output
    assert TRACEBACK not in worker.output
    assert own.redis.hlen("byline:unacked") == 0


def test_dead_letters_of_malformed_tasks_are_listed_shown_and_dropped(own: Stack) -> None:
    letters = DeadLetters(own.redis)
    letters.put_malformed("no id", QUEUE, 1234)
    own.redis.hset("byline:dead_letters", b"odd \xff", b"garbage")
    own.redis.zadd(MALFORMED_KEY, {SECRET: 0.0})
    listed = command(own, 0, "list").splitlines()
    assert len(listed) == 3
    assert sum("unreadable" in line for line in listed) == 2
    assert SECRET not in "".join(listed)
    [line] = [line for line in listed if "no id" in line]
    assert QUEUE in line
    assert "1,234 bytes" in line
    id = line.split()[0]
    assert "malformed task" in command(own, 0, "show", id)
    refused = command(own, 1, "replay", id)
    assert refused.count("\n") == 1
    assert "can't be replayed" in refused
    for line in listed:
        command(own, 0, "drop", line.partition("  ")[0])
    assert "there are no dead letters" in command(own, 0, "list")


def command(own: Stack, status: int, *arguments: str) -> str:
    part = own.start([sys.executable, "-m", "celery_app.dead_letters", *arguments], str(uuid4()))
    assert part.process.wait(20) == status, part.output
    own.parts.remove(part)
    return part.output


def test_only_the_last_malformed_tasks_are_kept(own: Stack) -> None:
    times = iter(range(10_000))
    letters = DeadLetters(own.redis, lambda: float(next(times)))
    for _ in range(MALFORMED_KEPT + 5):
        letters.put_malformed("other", "x", 1)
    kept = letters.all()
    assert (len(kept), kept[0].at) == (MALFORMED_KEPT, 5.0)
    assert letters.messages() == 0  # no worker died of them, so there is no alert


def test_an_unreadable_broadcast_delays_no_message_and_ends_no_worker(
    serving: tuple[Stack, Part],
) -> None:
    stack, worker = serving
    for broken in (b"[" * 5000, b"{}", b"5", b"[]", b"null", b"junk", raw({"body": 1})):
        assert stack.redis.publish("/0.celery.pidbox", broken)  # the worker receives it
        answered_at_once(stack, f"behind a broadcast of {broken[:5]!r}")
    app = make_celery(Settings.from_environ(stack.env))
    assert app.control.inspect(timeout=3).ping()
    assert "Connection to broker lost" not in worker.output
    assert worker.alive
