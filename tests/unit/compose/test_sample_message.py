"""Tests of the sample message: it prints an attribution, or one line with the reason."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from compose import sample_message
from tests.parts import free_port

PROBLEM = json.dumps({"code": "unauthorized", "detail": "a key is needed"})
ATTRIBUTION = {"author": None, "confidence": 0.5, "candidates": [], "cached": False}


class Api(BaseHTTPRequestHandler):
    """An api that answers with ``status`` and ``body``, or not at all for status 0."""

    status = 200
    body = ""
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append((self.path, json.loads(body)["text"]))
        if self.status:
            self.send_response(self.status)
            self.end_headers()
            self.wfile.write(self.body.encode())

    def log_message(self, *_: object) -> None:
        """Logs nothing."""


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("BYLINE_MODEL", "tests.models:Vowels")
    with HTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, PROBLEM, "401 unauthorized: a key is needed"),
        (422, PROBLEM, "422 unauthorized: a key is needed"),
        (500, "<html>", "500 Internal Server Error"),
        (503, "[]", "503 Service Unavailable"),
        (202, '{"id": "1", "status": "pending"}', "202, it is still pending after 30 s"),
        (200, "", "JSONDecodeError: "),
        (200, "[]", "AttributeError: "),
        (200, "{}", "KeyError: 'author'"),
        (0, "", "RemoteDisconnected: "),
    ],
)
def test_any_answer_without_an_attribution_is_printed_as_one_line(
    status: int,
    body: str,
    words: str,
    api: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Api, "status", status)
    monkeypatch.setattr(Api, "body", body)
    assert sample_message.main(api) == 1
    said = capsys.readouterr().out
    assert said.startswith(words)
    assert said.count("\n") == 1


def test_the_sample_message_stays_within_the_settings(
    api: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BYLINE_WAIT_MAX_S", "7.5")
    monkeypatch.setenv("BYLINE_MAX_CHARACTERS", "20")
    monkeypatch.setattr(Api, "body", json.dumps(ATTRIBUTION))
    assert sample_message.main(api) == 0
    said = capsys.readouterr().out
    for row in (
        "written by  nobody",
        "author      none: the model abstains",
        "evidence    none",
        "took",
    ):
        assert f"\n  {row}" in said
    path, text = Api.asked[-1]
    assert path == "/v1/attributions?explain=true&wait=7.5"
    assert text == sample_message.ANYTHING[:20]


def test_with_a_keys_file_no_sample_message_is_sent(
    api: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Api.asked.clear()
    monkeypatch.setenv("BYLINE_KEYS_FILE", str(tmp_path / "keys"))
    assert sample_message.main(api) == 1
    assert capsys.readouterr().out.startswith("BYLINE_KEYS_FILE is set")
    assert Api.asked == []


def test_an_api_that_does_not_listen_is_reported_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BYLINE_MODEL", "tests.models:Vowels")
    assert sample_message.main(f"http://127.0.0.1:{free_port()}") == 1
    assert "Connection refused" in capsys.readouterr().out
