"""Tests of the HTTP load against a small real server: both count the same messages."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from bench.load.http_client import Target
from bench.load.load import HttpLoad
from bench.load.messages import Message, Passage
from bench.load.recorder import BROKEN, NO_ANSWER, Recorder
from bench.load.schedule import Pacer

PASSAGES = [Passage("by one", "one"), Passage("by two", "two")]
ONE = {"author": "one", "confidence": 0.75, "candidates": [{"author": "one"}], "cached": True}

#: ``reply(number, body)`` returns status and body, or None to break the connection.
Reply = Callable[[int, dict[str, object]], tuple[int, object] | None]


class Server:
    """A server that sends the response of ``reply`` after ``delay(number)`` seconds."""

    def __init__(self, reply: Reply, delay: Callable[[int], float] = lambda number: 0.0) -> None:
        self._reply, self._delay = reply, delay
        self._numbers = itertools.count()
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(ready,))
        self._thread.start()
        ready.wait(5)

    def _serve(self, ready: threading.Event) -> None:
        async def start() -> None:
            self._server = await asyncio.start_server(self._handle, "127.0.0.1", 0)
            self.port = self._server.sockets[0].getsockname()[1]
            ready.set()

        self._loop.run_until_complete(start())
        self._loop.run_forever()
        self._server.close()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length:")[1].split()[0])
                body = json.loads(await reader.readexactly(length))
                number = next(self._numbers)
                await asyncio.sleep(self._delay(number))
                answer = self._reply(number, body)
                if answer is None:
                    break
                status, value = answer
                sent = json.dumps(value).encode()
                writer.write(
                    b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(sent), sent)
                )
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has closed
        finally:
            writer.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    started: list[Server] = []
    yield started
    for server in started:
        server.close()


def send(
    server: Server,
    *,
    rate: float | None = None,
    max_messages: int = 40,
    connections: int = 4,
    bulk: int = 1,
    seconds: float = 20.0,
    warmup: float = 0.0,
    ready: int = 0,
    pacer: Pacer | None = None,
) -> Recorder:
    recorder = Recorder(PASSAGES)
    drawn = (Message(n % 2, f"{PASSAGES[n % 2].text} {n}") for n in itertools.count())
    load = HttpLoad(
        Target("127.0.0.1", server.port, "/"),
        drawn,
        recorder,
        connections=connections,
        bulk=bulk,
        pacer=Pacer(rate) if rate else pacer,
    )
    load.prepare(ready)
    load.run(warmup, seconds, max_messages)
    recorder.judge_kept()
    return recorder


def test_answers_are_counted_and_judged(servers: list[Server]) -> None:
    servers.append(server := Server(lambda number, body: (200, ONE)))
    recorder = send(server, rate=400)
    assert list(recorder.answered) == list(recorder.cached) == [1] * 40
    assert not recorder.failed
    assert sum(recorder.right) == 20  # the server names the author of every second passage
    assert set(recorder.confidence) == {0.75}


def test_a_stall_is_charged_to_every_request_that_was_due(servers: list[Server]) -> None:
    """The first request stalls the only connection for 0.3 s, and ten more are due meanwhile."""
    servers.append(
        server := Server(lambda number, body: (200, ONE), lambda n: 0.3 if n == 0 else 0)
    )
    recorder = send(server, rate=100, max_messages=30, connections=1)
    by_due = [latency for _, latency in sorted(zip(recorder.due, recorder.latency, strict=True))]
    assert len(by_due) == 30
    assert all(latency > 0.19 for latency in by_due[:10])
    assert by_due[-1] < by_due[5]


def test_a_stall_at_the_end_hides_no_request(servers: list[Server]) -> None:
    """The load generator itself stands still while the last requests are due."""

    class StalledPacer(Pacer):
        def due_by(self, elapsed: float) -> int:
            if 0.25 < elapsed < 0.4:
                time.sleep(0.3)
            return super().due_by(elapsed)

    servers.append(server := Server(lambda number, body: (200, ONE)))
    recorder = send(server, pacer=StalledPacer(100), max_messages=1000, seconds=0.4, warmup=0.1)
    assert len(recorder.answered) == 40
    assert not recorder.failed
    assert max(recorder.late) > 0.2


def test_errors_are_counted_by_their_kind(servers: list[Server]) -> None:
    answers: list[tuple[int, object] | None] = [
        (503, {"code": "overloaded"}),
        (500, "nothing like a problem"),
        (200, {"author": 5}),
        None,
        (200, ONE),
    ]
    servers.append(server := Server(lambda number, body: answers[number % 5]))
    recorder = send(server, rate=200, max_messages=50)
    assert recorder.failed == {
        "overloaded": 10,
        "HTTP 500": 10,
        "not an answer": 10,
        BROKEN: 10,
    }
    assert sum(recorder.answered) == 10


def test_a_request_beyond_the_timeout_counts_as_no_answer(
    servers: list[Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Server and connection are healthy, but a response after the timeout does not count."""
    monkeypatch.setattr("bench.load.load.TIMEOUT_S", 0.2)
    servers.append(server := Server(lambda number, body: (200, ONE), lambda n: 8 if n == 2 else 0))
    began = time.monotonic()
    recorder = send(server, rate=200, max_messages=10)
    assert recorder.failed == {NO_ANSWER: 1}
    assert sum(recorder.answered) == 9
    assert time.monotonic() - began < 6  # the load does not wait for the late response


def test_a_bulk_request_counts_as_its_messages(servers: list[Server]) -> None:
    bad = {"error": {"code": "invalid", "detail": ""}}
    servers.append(server := Server(lambda number, body: (200, {"attributions": [ONE, bad, ONE]})))
    recorder = send(server, max_messages=30, bulk=3)
    assert set(recorder.sent) == {3}
    assert set(recorder.answered) == {2}
    assert recorder.failed["invalid"] == len(recorder.sent)


def test_a_closed_loop_keeps_every_connection_busy(servers: list[Server]) -> None:
    under_way, highest = [0], [0]

    def note(number: int) -> float:
        under_way[0] += 1
        highest[0] = max(highest[0], under_way[0])
        return 0.02

    def reply(number: int, body: dict[str, object]) -> tuple[int, object]:
        under_way[0] -= 1
        return 200, ONE

    servers.append(server := Server(reply, note))
    recorder = send(server, max_messages=60, connections=6)
    assert highest[0] == 6
    assert sum(recorder.answered) >= 60


@pytest.mark.parametrize("ready", [0, 15, 100])
def test_prepared_requests_are_sent_first_and_none_twice(servers: list[Server], ready: int) -> None:
    texts = []

    def reply(number: int, body: dict[str, object]) -> tuple[int, object]:
        texts.append(body["text"])
        return 200, ONE

    servers.append(server := Server(reply))
    recorder = send(server, rate=400, connections=1, ready=ready)
    assert texts == [f"{PASSAGES[n % 2].text} {n}" for n in range(40)]
    assert sum(recorder.answered) == 40


def test_requests_due_during_the_warm_up_are_not_measured(servers: list[Server]) -> None:
    """Of the warm-up's 30 requests, ten are answered after its end: 100 a second, 0.1 s each."""
    servers.append(server := Server(lambda number, body: (200, ONE), lambda n: 0.1))
    recorder = send(server, rate=100, max_messages=60, connections=50, warmup=0.3)
    assert sum(recorder.sent) == sum(recorder.answered) == len(recorder.right) == 30
    assert min(recorder.due) >= 0
    assert 5 <= recorder.carried <= 15


def test_the_pacer_is_a_pure_function_of_time() -> None:
    pacer = Pacer(100.0)
    assert [pacer.due_by(t) for t in (-1, 0, 0.009, 0.011, 1.0)] == [0, 1, 1, 2, 101]
    assert pacer.due_at(50) == 0.5
