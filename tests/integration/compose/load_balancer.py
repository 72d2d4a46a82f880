"""For the tests of nginx: nginx itself, servers that misbehave, and busy clients."""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from celery_app.settings import Settings
from tests import nginx
from tests.parts import Stack, free_port, wait_for

LIMIT = Settings().max_body_bytes
#: The path and the headers of each request.
Got = list[tuple[str, dict[str, str]]]


class Balanced:
    """An nginx in front of api servers, as a part of a stack."""

    def __init__(self, stack: Stack, apis: list[int]) -> None:
        self.apis = apis
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        folder = stack.folder / "nginx"
        folder.mkdir()
        file = nginx.configured(folder, apis, port, free_port(), LIMIT)
        self.part = stack.start(nginx.command(file), "nginx")
        wait_for(lambda: _answers(self.url) or not self.part.alive, what="nginx")
        assert self.part.alive, self.part.output

    def log(self) -> list[dict[str, str]]:
        """Returns the lines of nginx's log. Each line is about one request."""
        lines = self.part.output.splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line[-1] == "\n"]


class Misbehaving:
    """A server that records its requests. The query of a request says how to answer.

    A number: answer with this status. ``die``: close the connection without an answer. ``die=N``:
    do so for the first N requests in ``got``, which several servers share.
    """

    def __init__(self, got: Got) -> None:

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                path, _, query = self.path.partition("?")
                got.append((path, {k.lower(): v for k, v in self.headers.items()}))
                self.rfile.read(int(self.headers["Content-Length"]))
                what, _, times = query.partition("=")
                if what == "die" and len(got) <= int(times or 1000):
                    self.close_connection = True
                    return
                self.send_response(int(what) if what.isdigit() else 200)
                self.send_header("Content-Length", "0")
                self.send_header("X-Request-ID", self.headers["X-Request-ID"])
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Logs nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", timeout=2).status_code < 600
    except httpx.TransportError:
        return False


class Clients:
    """Clients that send one new message after another. Each client has one connection."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = threading.Lock()
        self.statuses: Counter[int] = Counter()
        self.failed: list[str] = []

    @property
    def answered(self) -> int:
        with self._lock:
            return sum(self.statuses.values())

    def go(self, client: int, stop: threading.Event) -> None:
        with httpx.Client(base_url=self._url, timeout=20) as http:
            for number in itertools.count():
                if stop.is_set():
                    return
                text = f"message {number} of client {client}"
                try:
                    answer = http.post("/v1/attributions", json={"text": text})
                except httpx.HTTPError as error:
                    with self._lock:
                        self.failed.append(repr(error))
                    continue
                with self._lock:
                    self.statuses[answer.status_code] += 1
                    if answer.status_code != 200:
                        self.failed.append(answer.text)
