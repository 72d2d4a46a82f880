"""Byline sends no request through a proxy, because it sends requests only to its own servers."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from bench.system import direct
from compose import probe
from monitoring.monitor import scrape
from tests.parts import ROOT, free_port

FOLDERS = ("api", "bench", "celery_app", "compose", "model", "monitoring", "tasks")


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yields the URL of a page on the loopback address. The environment names a dead proxy."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"byline_up 1\n")

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_a_proxy_of_the_environment_is_not_asked(page: str) -> None:
    for module in (direct, probe, scrape):
        importlib.reload(module)  # urllib reads the environment when an opener is made
        with module.DIRECT.open(page, timeout=5) as response:
            assert response.read() == b"byline_up 1\n"
    assert probe.main([page, "byline_up"]) == 0
    assert scrape.scrape(page, ["byline_"]) == {("byline_up", ()): 1.0}


def test_nobody_goes_past_these_openers() -> None:
    """Other HTTP clients, such as ``urlopen``, take a proxy from the environment."""
    words = ("urlopen(", "import httpx", "import requests", "import aiohttp", "wget, -q, -O")
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".yaml")
        for word in words
        if word in path.read_text("utf-8")
    ]
    assert found == []
