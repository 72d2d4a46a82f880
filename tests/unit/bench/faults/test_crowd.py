"""Tests of the soak's extra load: answers that are fetched late, and a cache that stays full."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from bench.faults import crowd
from bench.faults.crowd import Crowd, LatePromises
from bench.faults.promised import BULK
from bench.load.recorder import BROKEN
from bench.system.system import Started


class Api(BaseHTTPRequestHandler):
    """An api that promises every answer, and gives the answer at the second request for it.

    The first message of a bulk request gets its answer at once. The connections of the very first
    POST and GET break.
    """

    bulks: ClassVar = 0
    questions: ClassVar[Counter[str]] = Counter()

    def do_POST(self) -> None:
        Api.bulks += 1
        if Api.bulks == 1:
            self.close_connection = True
            return
        ids = (f"{Api.bulks}-{number}" for number in range(1, BULK))
        items = ['{"id": "known", "author": "a"}']
        items += (f'{{"id": "{id}", "location": "/{id}"}}' for id in ids)
        self._answer(202, f'{{"attributions": [{",".join(items)}]}}')

    def do_GET(self) -> None:
        Api.questions[self.path] += 1
        if Api.questions.total() == 1:
            self.close_connection = True
            return
        self._answer(200 if Api.questions[self.path] > 1 else 202, "{}")

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def system(tmp_path: Path) -> Iterator[Started]:
    Api.bulks, Api.questions = 0, Counter()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    found = Started(tmp_path, {})
    found.target = found.target._replace(port=server.server_port)
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


class Rounds(threading.Event):
    """An event that is set after ``count`` calls of ``wait``. The calls return at once."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._left = count

    def wait(self, timeout: float | None = None) -> bool:
        self._left -= 1
        return self._left < 0


def test_every_promised_message_is_fetched_or_counted_as_failed(
    system: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd, "FETCHED_AFTER_S", 0.0)
    monkeypatch.setattr(crowd, "FETCHED_BEFORE_S", 0.0)
    late = LatePromises(system, random.Random(1))
    late.run(Rounds(4))
    assert late.account.fetched > 0
    loss = late.account.close(system)
    assert (loss.sent, loss.answered, loss.kept) == (4 * BULK, 3, 3 * (BULK - 1))
    assert loss.broken == 0
    assert "/known" not in " ".join(Api.questions)
    assert loss.failed == {BROKEN: BULK}


def test_answers_are_not_fetched_before_their_time(system: Started) -> None:
    late = LatePromises(system, random.Random(1))
    late.run(Rounds(3))
    assert (late.account.fetched, len(late.account.accepted)) == (0, 2 * (BULK - 1))
    assert not Api.questions


@pytest.mark.parametrize(("looks", "full", "well"), [(10, 9, True), (10, 8, False), (0, 0, False)])
def test_a_cache_that_was_not_full_is_a_complaint(looks: int, full: int, well: bool) -> None:
    assert (not Crowd(looks=looks, full=full).complaints) == well
