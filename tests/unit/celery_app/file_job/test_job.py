"""A file job sends rows with temporary errors again, and keeps the order and the bounds."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from celery_app.file_job import asking
from celery_app.file_job import job as job_module
from celery_app.file_job.asking import Asking
from celery_app.file_job.errors import JobError
from celery_app.file_job.feeder import Feeder
from celery_app.file_job.job import Job
from celery_app.file_job.progress import LineReport
from celery_app.file_job.readers.rows import Block, Row, unusable
from celery_app.file_job.results import Counts
from tasks.messages import Attribution, Failure, Outcome

GOOD = Attribution("", "Ann", 0.9, (), "v1")


class FakeClient:
    """A client whose outcomes a test chooses. Keeps what it was asked."""

    def __init__(self, outcome: Callable[[str, int], Outcome]) -> None:
        """``outcome`` gets a text, and how often the text was sent before."""
        self._outcome = outcome
        self.calls: list[list[str]] = []
        self.options: dict[str, Any] = {}
        self.alive = [1]
        self.state = {"broker": "ok", "worker": "ok"}

    async def attribute_each(self, texts: list[str], **options: Any) -> list[Outcome]:
        before = [text for call in self.calls for text in call]
        self.calls.append(texts)
        self.options = options
        await asyncio.sleep(0)
        return [self._outcome(text, before.count(text)) for text in texts]

    def workers(self, version: str) -> int:
        return self.alive.pop(0) if len(self.alive) > 1 else self.alive[0]

    def states(self) -> dict[str, str]:
        return self.state


class Memory:
    """An output that keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[Any] = []

    def write(self, lines: bytes, counts: Counts) -> None:
        self.lines += map(json.loads, lines.splitlines())
        assert counts.rows == len(self.lines)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "PAUSE_S", 0.0)
    monkeypatch.setattr(asking, "LOOK_S", 0.0)


def ask(client: Any, *rows: Row) -> list[Outcome]:
    return asyncio.run(Asking(client, "v1", explain=False).outcomes(rows))


def test_an_input_that_goes_on_after_the_job_was_stopped_is_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    stopped = threading.Event()

    def blocks() -> Iterator[Block]:
        stopped.wait(20)
        yield Block([Row("a")], 1, 1)

    async def stop() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(aiter(Feeder(blocks()))), 0.05)

    asyncio.run(stop())
    threads = [thread for thread in threading.enumerate() if thread.name == "feeder"]
    stopped.set()
    for thread in threads:
        thread.join(20)
    assert threads
    assert failed == []


@pytest.mark.parametrize("code", sorted(asking.TEMPORARY))
def test_only_rows_with_a_temporary_error_are_sent_again(code: str) -> None:
    client = FakeClient(lambda text, n: Failure("", code, "") if text == "b" and n < 5 else GOOD)
    assert ask(client, Row("a"), Row("b"), Row("c")) == [GOOD] * 3
    assert client.calls == [["a", "b", "c"], *[["b"]] * 5]
    assert client.options == {"priority": 9, "version": "v1", "explain": False}


@pytest.mark.parametrize("code", ["invalid", "model_failed", "dead_letter", "revoked"])
def test_a_lasting_error_is_the_outcome_at_once(code: str) -> None:
    client = FakeClient(lambda text, n: Failure("", code, ""))
    assert ask(client, Row("a")) == [Failure("", code, "")]
    assert client.calls == [["a"]]


def test_a_defect_is_the_outcome_after_three_tries() -> None:
    client = FakeClient(lambda text, n: Failure("", "internal_error", ""))
    assert ask(client, Row("a")) == [Failure("", "internal_error", "")]
    assert client.calls == [["a"]] * 3


def test_unusable_rows_are_not_sent() -> None:
    client = FakeClient(lambda text, n: GOOD)
    bad = unusable("no text")
    assert ask(client, bad, Row("a"), bad) == [bad.failure, GOOD, bad.failure]
    assert client.calls == [["a"]]
    assert ask(client, bad) == [bad.failure]


def test_nothing_is_sent_while_no_worker_is_alive() -> None:
    client = FakeClient(lambda text, n: GOOD)
    client.alive = [0] * 7 + [1]
    assert ask(client, Row("a")) == [GOOD]
    assert client.alive == [1]


def test_the_obstacle_is_named() -> None:
    client: Any = FakeClient(lambda text, n: GOOD)
    asked = Asking(client, "v1", explain=False)
    assert asked.obstacle() == "no worker has answered yet"
    client.state = {"broker": "ok", "queue": "full"}
    assert asked.obstacle() == "queue: full"
    client.alive = [0]
    assert asked.obstacle() == "no worker serves v1, the version of this job: start one"
    client.state = {"broker": "unreachable", "queue": "ok"}
    assert asked.obstacle() == "broker: unreachable"


def blocks(count: int, size: int) -> Iterator[Block]:
    for n in range(count):
        yield Block([Row(f"{n} {m}") for m in range(size)], n + 1, size)


def job(client: Any, output: Any, room: int) -> tuple[Job, Counts]:
    counts = Counts()
    return Job(output, Asking(client, "v1", False), counts, room, False), counts


def test_results_are_in_order_though_later_blocks_are_answered_first() -> None:
    def outcome(text: str, n: int) -> Outcome:
        late = text.startswith(("0 ", "3 ")) and n < 40
        return Failure("", "no_answer", "") if late else Attribution(text, "Ann", 0.9, (), "v1")

    async def run() -> None:
        running, counts = job(FakeClient(outcome), output, 1000)
        await running.run(blocks(8, 3), LineReport(None, counts))
        assert counts == Counts(8, 24, 24, 0, {})

    output = Memory()
    asyncio.run(run())
    assert [line["id"] for line in output.lines] == [f"{n} {m}" for n in range(8) for m in range(3)]


@pytest.mark.parametrize(("room", "under_way"), [(1, 10), (25, 20), (10_000, 60)])
def test_rows_under_way_stay_within_the_room(room: int, under_way: int) -> None:
    class Slow(FakeClient):
        """Answers when as many rows are under way as there can be."""

        most = now = 0

        async def attribute_each(self, texts: list[str], **options: Any) -> list[Outcome]:
            self.now += len(texts)
            self.most = max(self.most, self.now)
            for _ in range(200):
                await asyncio.sleep(0.0005)  # so that the job could send more
            self.now -= len(texts)
            return [GOOD] * len(texts)

    async def run() -> None:
        running, counts = job(client, Memory(), room)
        await running.run(blocks(6, 10), LineReport(None, counts))

    client = Slow(lambda text, n: GOOD)
    asyncio.run(run())
    assert client.most == under_way


class Waits(LineReport):
    """Keeps what the job waits for, and lets the output go on."""

    def __init__(self, event: threading.Event) -> None:
        super().__init__(None, Counts())
        self.reasons: set[str] = set()
        self._event = event

    def waits(self, reason: str) -> None:
        self.reasons.add(reason)
        self._event.set()


def test_an_output_that_takes_no_more_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_module, "UPDATE_S", 0.01)
    monkeypatch.setattr(job_module, "SILENT_S", 0.02)

    class Blocked(Memory):
        def write(self, lines: bytes, counts: Counts) -> None:
            assert event.wait(10)
            super().write(lines, counts)

    async def run() -> None:
        running, _ = job(FakeClient(lambda text, n: GOOD), Blocked(), 1000)
        await running.run(blocks(1, 3), report)

    event = threading.Event()
    report = Waits(event)
    asyncio.run(run())
    assert report.reasons == {job_module.SLOW_OUTPUT}


def test_an_error_while_reading_ends_the_job() -> None:
    def broken() -> Iterator[Block]:
        yield from blocks(2, 3)
        raise OSError(5, "Input/output error")

    async def run() -> None:
        running, counts = job(FakeClient(lambda text, n: GOOD), Memory(), 1000)
        await running.run(broken(), LineReport(None, counts))

    with pytest.raises(ExceptionGroup) as raised:
        asyncio.run(run())
    assert raised.group_contains(JobError, match="the input: Input/output error")
