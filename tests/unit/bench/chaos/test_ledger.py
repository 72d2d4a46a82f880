"""Tests of the ledger of messages, and of the light load, with a small api."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from bench.chaos import ledger
from bench.chaos.ledger import Ledger, light_load
from bench.load.http_client import Target
from bench.load.recorder import BROKEN

KNOWN = {"id": "known", "confidence": 0.5}


class Api(BaseHTTPRequestHandler):
    """An api that accepts every message, and has answers only for the messages in ``known``."""

    said: ClassVar[list[tuple[int, object]]] = []
    known: ClassVar[set[str]] = set()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(*(self.said.pop(0) if self.said else (200, KNOWN)))

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
        (200, KNOWN),
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
    time.sleep(0.2)  # after the load
    assert (len(sent.accepted), sent.failed) == (count, {})
