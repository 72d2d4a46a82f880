"""nginx in front of servers, servers that misbehave, and clients that ask without a pause."""

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
    """nginx on a port, started in a stack."""

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
        """What nginx has noted of each request."""
        lines = self.part.output.splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.startswith("{") and line[-1] == "\n"]


class Misbehaving:
    """A server that notes what it gets, and does what the query says.

    A status; or ``die``, and no answer; or ``die=N``, none for the first N that anybody ``got``.
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
                """Say nothing."""

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
    """Clients that each ask for one new message after another, over one connection each."""

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
