"""Pending results in Redis: written in one step with the task, never evicted, limited in time."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis, ResponseError

from model.types import Candidate, Evidence
from tasks.messages import UNACKED, Attribution, Failure, Outcome, message_id
from tasks.storage import pending_results
from tasks.storage.pending_results import PROMISED, PROMISES, PendingResults
from tasks.storage.reply_queue import ReplyQueue
from tasks.storage.result_cache import RESULT
from tests.parts import Stack, free_port, wait_for

LIST = "attributions.v1"
IDS = [message_id("v1", str(number)) for number in range(3)]
FAILED = Failure(IDS[0], "model_failed", "it raised")
ANSWERED = Attribution(IDS[0], "a", 0.9, (Candidate("a", 0.9),), "v1", cached=True)
EXPLAINED = Attribution(
    IDS[0], "a", 0.9, (Candidate("a", 0.9),), "v1", cached=True, evidence=Evidence("a", 1, 1, (), 0)
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    stack = Stack(tmp_path_factory.mktemp("pending_results"))
    try:
        stack.valkey()
        yield stack.redis
    finally:
        stack.close()


class Kept:
    """Pending results, and a client of the Redis that stores them."""

    def __init__(self, redis: Redis) -> None:
        self.redis, self.room = redis, 2
        self.pending_results = PendingResults(
            self.call, self.call, 60, lambda: self.room, lambda: [LIST]
        )

    async def call(self, *command: Any) -> Any:
        return self.redis.execute_command(*command)

    def make(self, *ids: str, queue: str = "", task: bytes = b"") -> bool:
        return asyncio.run(self.pending_results.make(ids, queue, task))

    def keep(self, *outcomes: Outcome) -> None:
        for outcome in outcomes:
            ReplyQueue(self.redis, apart=True).send([], [], {outcome.id: outcome})

    def find(self, id: str = IDS[0]) -> Outcome | None:
        return asyncio.run(self.pending_results.find(id))

    def fetch(self, id: str = IDS[0]) -> Outcome | None:
        return asyncio.run(self.pending_results.fetch(id, explain=False))


@pytest.fixture
def kept(server: Redis) -> Kept:
    server.flushall()
    return Kept(server)


def test_a_pending_result_does_not_expire_before_it_is_fetched(kept: Kept) -> None:
    assert kept.make(IDS[0], queue=LIST, task=b"task")
    assert kept.redis.lrange(LIST, 0, -1) == [b"task"]
    assert kept.find() is None
    kept.keep(ANSWERED)
    assert kept.redis.ttl(PROMISED + IDS[0]) == -1
    assert kept.fetch() == kept.fetch() == ANSWERED
    assert 0 < kept.redis.ttl(PROMISED + IDS[0]) <= 60
    assert kept.redis.zcard(PROMISES) == 0


def test_an_outcome_without_a_pending_result_is_not_kept(kept: Kept) -> None:
    kept.make(IDS[1])
    kept.keep(ANSWERED)
    with pytest.raises(KeyError):
        kept.find()


def test_a_task_that_can_not_be_queued_leaves_no_pending_result(kept: Kept) -> None:
    kept.redis.set(LIST, "no list")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        kept.make(IDS[0], queue=LIST, task=b"task")
    assert kept.redis.keys("byline:*") == []


def test_beyond_the_limit_no_message_of_a_task_gets_a_pending_result(kept: Kept) -> None:
    assert kept.make(IDS[0])
    assert not kept.make(IDS[1], IDS[2], queue=LIST, task=b"task")
    assert kept.redis.zrange(PROMISES, 0, -1) == [IDS[0].encode()]
    assert kept.redis.llen(LIST) == 1
    assert kept.make(IDS[0], IDS[1])
    assert kept.make(IDS[0], IDS[1])  # both are counted already
    kept.keep(ANSWERED)
    kept.fetch()
    assert kept.make(IDS[2])


@pytest.mark.parametrize(
    ("outcomes", "last"),
    [
        ((FAILED, ANSWERED), ANSWERED),
        ((ANSWERED, FAILED), ANSWERED),
        ((ANSWERED, EXPLAINED), EXPLAINED),
        ((EXPLAINED, ANSWERED), EXPLAINED),
    ],
)
def test_an_outcome_is_never_replaced_by_a_less_complete_outcome(
    kept: Kept, outcomes: Sequence[Outcome], last: Outcome
) -> None:
    kept.make(IDS[0])
    kept.keep(*outcomes)
    assert kept.find() == last


def test_a_new_pending_result_drops_a_failure_and_keeps_an_attribution(kept: Kept) -> None:
    for outcome, after in ((FAILED, None), (ANSWERED, ANSWERED)):
        kept.make(IDS[0])
        kept.keep(outcome)
        assert kept.fetch() == outcome
        kept.make(IDS[0])
        assert kept.find() == after
        assert kept.redis.ttl(PROMISED + IDS[0]) == -1


def test_a_pending_result_is_removed_when_its_time_is_over(kept: Kept) -> None:
    kept.make(IDS[0], IDS[1])
    kept.redis.zadd(PROMISES, {IDS[0]: time.time() - 1})
    assert pending_results.expire(kept.redis) == 1
    assert kept.redis.keys("byline:*") == [PROMISES.encode(), (PROMISED + IDS[1]).encode()]
    kept.redis.set(PROMISES, "no set")
    pending_results.expire(kept.redis)
    assert kept.make(IDS[0])


@pytest.mark.parametrize("held", [False, True], ids=["queued", "held by a worker"])
def test_a_pending_result_whose_task_is_lost_becomes_no_answer(
    kept: Kept, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(sent: float) -> None:
        task = b'{"body": "", "headers": {"byline_sent":%f}}' % sent
        kept.redis.delete(LIST, UNACKED)
        if held:
            kept.redis.hset(UNACKED, "tag", b'[%s,"","q"]' % task)
        else:
            kept.redis.lpush(LIST, task, b"a client's")

    kept.make(IDS[0])
    assert kept.fetch() is None  # too young to count as lost
    monkeypatch.setattr(pending_results, "LOST_S", 0.0)
    put(time.time())
    assert kept.fetch() is None
    put(time.time() + 30)
    failure = kept.fetch()
    assert isinstance(failure, Failure)
    assert failure.code == "no_answer"
    assert kept.find() == failure
    assert kept.redis.zcard(PROMISES) == 0
    assert kept.make(IDS[0])  # sent again
    assert kept.find() is None


def test_eviction_of_cached_results_removes_no_pending_result(own: Stack) -> None:
    own.worker()
    own.api()
    messages = [{"text": f"promised {number}"} for number in range(200)]
    promised = own.attribute({"messages": messages}, wait=0)
    assert promised.status_code == 202
    pending = [item for item in promised.json()["attributions"] if item.get("status") == "pending"]
    wait_for(lambda: own.held() == 0, what="the queue to be empty")
    evicting = {"maxmemory-policy": "volatile-lru", "maxmemory": "8mb"}
    for name, value in evicting.items():
        own.redis.config_set(name, value)
    own.redis.config_set("maxmemory", int(own.redis.info("memory")["used_memory"]) + 2**21)
    for start in range(0, 40_000, 1000):
        with own.redis.pipeline(transaction=False) as pipe:
            for number in range(start, start + 1000):
                pipe.set(f"{RESULT}{number:032x}", b"x" * 200, ex=1000)
            pipe.execute()
    assert own.redis.info("stats")["evicted_keys"] > 10_000
    # Redis evicts the least recently used key of a sample, so that a few results may be left.
    left = own.redis.exists(*(RESULT + item["id"] for item in pending))
    assert left < len(pending) / 2
    with httpx.Client(base_url=own.url) as client:
        assert {client.get(item["location"]).status_code for item in pending} == {200}
    assert own.redis.zcard(PROMISES) == 0


def test_a_late_pending_result_survives_the_api_and_the_cached_result(own: Stack) -> None:
    own.worker(TEST_MODEL_SECONDS="1")
    api = own.api()
    promise = own.attribute({"text": "left before it was promised"}, wait=0.3)
    assert promise.status_code == 202
    api.kill()
    wait_for(lambda: own.held() == 0, what="the queue to be empty")
    own.redis.delete(RESULT + promise.json()["id"])
    own.api()
    assert httpx.get(own.url + promise.headers["Location"]).status_code == 200


def test_beyond_the_limit_new_pending_results_are_refused_and_old_ones_kept(own: Stack) -> None:
    worker = own.worker()
    own.api(BYLINE_MAX_PENDING_RESULTS="3")
    worker.process.send_signal(signal.SIGSTOP)
    old = [own.attribute({"text": f"promised {number}"}, wait=0) for number in range(3)]
    assert [answer.status_code for answer in old] == [202] * 3
    refused = own.attribute({"text": "one more"}, wait=0)
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert int(refused.headers["Retry-After"]) > 0
    worker.process.send_signal(signal.SIGCONT)
    for answer in old:
        where = own.url + answer.headers["Location"]
        wait_for(lambda: httpx.head(where).status_code == 200, what="the promised answer")  # noqa: B023
        assert own.redis.zcard(PROMISES) > 0  # HEAD does not fetch the result
        wait_for(lambda: httpx.get(where).status_code == 200, what="the promised answer")  # noqa: B023
    # The refused message was attributed all the same, and fetched results have freed capacity.
    again = own.attribute({"text": "one more"})
    assert (again.status_code, again.json()["cached"]) == (200, True)
    assert own.attribute({"text": "and another"}, wait=0).status_code in (200, 202)


def test_after_a_power_cut_no_pending_result_is_without_its_task(own: Stack) -> None:
    worker = own.worker()
    own.api()
    worker.kill()
    texts = [f"promised {number}" for number in range(40)]
    accepted = [own.attribute({"text": text}, wait=0) for text in texts[:20]]
    bulk = own.attribute({"messages": [{"text": text} for text in texts[20:]]}, wait=0)
    ids = {answer.json()["id"] for answer in accepted}
    ids |= {item["id"] for item in bulk.json()["attributions"]}
    own.parts[0].kill()
    log = own.folder / "valkey" / "appendonlydir"
    size = newest(log).stat().st_size
    for number, end in enumerate(range(size, 0, -size // 8)):
        with started(own, number, log, end) as redis:
            pending = {key.decode().removeprefix(PROMISED) for key in redis.keys(PROMISED + "*")}
            assert pending <= queued(redis)
            assert pending == {id.decode() for id in redis.zrange(PROMISES, 0, -1)}
            assert number or pending == ids  # `appendfsync always` keeps all


def newest(log: Path) -> Path:
    """Returns the file of the log that Valkey writes to."""
    return max(log.glob("*.incr.aof"), key=lambda path: path.stat().st_mtime)


def started(own: Stack, number: int, log: Path, end: int) -> Redis:
    """Returns a client of a new server with the data in the first ``end`` bytes of the log."""
    folder, port = own.folder / f"cut-{number}", free_port()
    shutil.copytree(log, folder / "appendonlydir")
    with newest(folder / "appendonlydir").open("r+b") as file:
        file.truncate(end)
    own.valkey(port, folder.name)
    return Redis(port=port)


def queued(redis: Redis) -> set[str]:
    """Returns the ids of all messages whose tasks are queued, or held by a worker."""
    tasks = [task for key in redis.keys("attributions*") for task in redis.lrange(key, 0, -1)]
    tasks = [json.loads(task) for task in tasks]
    tasks += [json.loads(entry)[0] for entry in redis.hvals(UNACKED)]
    ids = set()
    for task in tasks:
        [texts], options, _ = json.loads(base64.b64decode(task["body"]))
        ids |= {message_id(options["version"], text) for text in texts}
    return ids
