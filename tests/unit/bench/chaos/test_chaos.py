"""Tests of ``make chaos``: its cases, its ledger of messages, and its tables."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from bench.chaos import ledger, report, strikes
from bench.chaos.cells import PHASES, SIGNALS, Cell, matrix
from bench.chaos.ledger import Ledger, light_load
from bench.chaos.strikes import Result, hit
from bench.chaos.trial import SPAWNED
from bench.load.http_client import Target
from bench.load.recorder import BROKEN


def test_the_matrix_has_each_part_in_each_phase_by_each_signal_once() -> None:
    cells = list(matrix(["valkey", "worker"]))
    assert len(set(cells)) == len(cells) == 4 * len(PHASES) * len(SIGNALS)
    assert {cell.part for cell in cells} == {"valkey", "worker", "supervisord", "runner"}
    phases = [cell.phase for cell in cells]
    assert phases == sorted(phases, key=PHASES.index)


@pytest.mark.parametrize(
    ("cell", "ends", "by_hand", "exit_status"),
    [
        (Cell("worker", "running", "KILL"), False, False, 0),
        (Cell("worker", "stopping", "KILL"), True, False, 0),
        (Cell("supervisord", "stopping", "KILL"), True, False, 0),
        (Cell("runner", "running", "KILL"), False, True, -9),
        (Cell("runner", "warming", "TERM"), True, False, 0),
        (Cell("runner", "running", "STOP"), False, False, 0),
        (Cell("runner", "stopping", "KILL"), True, False, -9),
        (Cell("runner", "stopping", "TERM"), True, False, 0),
    ],
    ids=str,
)
def test_a_case_says_how_the_system_has_to_end(
    cell: Cell, ends: bool, by_hand: bool, exit_status: int
) -> None:
    assert (cell.ends, cell.started_by_hand, cell.exit_status) == (ends, by_hand, exit_status)


def test_a_killed_part_and_the_parts_it_started_are_replaced() -> None:
    assert Cell("flower", "running", "KILL").replaced == {"flower"}
    assert Cell("flower", "running", "TERM").replaced == {"flower"}
    assert Cell("flower", "running", "STOP").replaced == set()
    assert Cell("flower", "stopping", "KILL").replaced == set()
    assert Cell("runner", "running", "STOP").replaced == set()
    assert Cell("runner", "running", "TERM").replaced == set()
    for part in ("supervisord", "runner"):
        vital = {"supervisord", "valkey", "worker", "api"}
        assert Cell(part, "running", "KILL").replaced == vital


def test_connections_may_break_only_where_the_api_ends() -> None:
    broken = {cell.part for cell in matrix(["api", "worker", "valkey"]) if BROKEN in cell.honest}
    assert broken == {"api", "worker", "valkey", "supervisord", "runner"}
    running = {
        cell.part
        for cell in matrix(["api", "worker", "valkey"])
        if cell.phase != "stopping" and BROKEN in cell.honest
    }
    assert running == {"api", "supervisord", "runner"}


def test_process_ids_are_read_from_supervisords_log() -> None:
    log = """
2026-01-01 00:00:00,000 INFO supervisord started with pid 11
2026-01-01 00:00:00,100 INFO spawned: 'redis-exporter' with pid 12
"""
    assert [(a or c, b or d) for a, b, c, d in SPAWNED.findall(log)] == [
        ("supervisord", "11"),
        ("redis-exporter", "12"),
    ]


def result(**given: object) -> Result:
    return Result(Cell("worker", "running", "KILL"), **given)  # type: ignore[arg-type]


def test_a_row_shows_the_result_and_its_complaints() -> None:
    assert report.row(result(served_s=1.25, whole_s=2.0, accepted=50)) == (
        "| worker | running | KILL | 1.2 | 2.0 | 50 | 0 | well |"
    )
    lost = result(accepted=50, lost=Counter({"HTTP 404": 2}), complaints=["a | b", "c"])
    assert report.row(lost) == "| worker | running | KILL | – | – | 50 | 2 | a / b; c |"


def test_the_overview_shows_three_signals_in_a_field_and_failures_in_bold() -> None:
    stopped = Result(Cell("worker", "stopping", "TERM"), 3.0, complaints=["left behind"])
    lines = report.overview([result(served_s=1.0), stopped]).splitlines()
    assert lines[0] == "| part | starting | warming | sample | running | stopping |"
    assert lines[2:] == [
        "| worker | – / – / – | – / – / – | – / – / – | 1.0 / – / – | – / – / **3.0** |"
    ]


class Api(BaseHTTPRequestHandler):
    """An api that accepts messages, and has answers only to those in ``known``."""

    said: ClassVar[list[tuple[int, object]]] = []
    known: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(*(self.said.pop(0) if self.said else (200, {"id": "known"})))

    def do_GET(self) -> None:
        self._answer(200 if self.path.rpartition("/")[2] in self.known else 404, {})

    def log_message(self, *given: object) -> None:
        """Logs nothing."""

    def _answer(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def target() -> Iterator[Target]:
    Api.said.clear()
    Api.known = {"known"}
    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Target("127.0.0.1", server.server_port, "/v1/attributions")
        server.shutdown()
        thread.join()


def test_answers_and_promises_are_accepted_and_other_outcomes_have_a_reason(target: Target) -> None:
    Api.said += [
        (200, {"id": "known"}),
        (202, {"id": "later", "location": "/v1/attributions/later"}),
        (503, {"code": "overloaded"}),
        (500, {}),
    ]
    sent = Ledger()
    for _ in range(4):
        sent.send(target)
    sent.send(Target("127.0.0.1", 1, "/"))  # nobody listens there
    assert sent.accepted == ["/v1/attributions/known", "/v1/attributions/later"]
    assert sent.failed == {"overloaded": 1, "HTTP 500": 1, BROKEN: 1}


def test_an_accepted_message_without_an_answer_is_missing(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "ANSWERED_S", 0.1)
    sent = Ledger()
    sent.accepted = ["/v1/attributions/known", "/v1/attributions/gone"]
    assert sent.missing(target) == {"HTTP 404": 1}
    Api.known.add("gone")
    assert not sent.missing(target)


def test_a_light_load_ends_with_its_block(target: Target) -> None:
    sent = Ledger()
    with light_load(target, sent):
        time.sleep(0.3)  # under load
    count = len(sent.accepted)
    assert 2 <= count <= 12
    time.sleep(0.2)  # after it
    assert (len(sent.accepted), sent.failed) == (count, {})


def test_a_process_continues_after_sigstop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strikes, "LASTS_S", 0.3)
    command = [sys.executable, "-c", "import sys; sys.stdin.readline(); print('goes on')"]
    with subprocess.Popen(command, stdin=-1, stdout=-1, text=True) as process:
        begin = time.monotonic()
        hit(process.pid, "STOP")
        assert time.monotonic() - begin >= 0.3
        out, _ = process.communicate("\n", timeout=10)
        assert out == "goes on\n"


def test_sigkill_kills_a_process() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=-1) as process:
        hit(process.pid, "KILL")
        assert process.wait(10) == -signal.SIGKILL
