"""Byline shows no secret when a part fails. Each secret, and each part of it, contains MARK."""

from __future__ import annotations

import contextlib
import re
import socket
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from celery_app.app import make_celery
from celery_app.settings import Settings
from celery_app.settings.secret_url import SecretURL
from tests.parts import ROOT, Part, Stack, free_port, wait_for

MARK = "Sesame"
PASSWORD = f"{MARK}/1#{MARK}@2%{MARK}:3?{MARK}"
QUOTED = quote(PASSWORD, safe="")
KEY = f"byline_{MARK}"
LOGIN = ("byline", MARK)
EXPORTER = ROOT / ".venv-exporter" / "bin" / "python"


def locked(stack: Stack, password: str, name: str) -> Part:
    """Starts a Redis server with a password, on the stack's port."""
    return stack.valkey(0, name, f"--requirepass {password}")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    keys = tmp_path / "keys.txt"
    keys.write_text(f"app sha256:{sha256(KEY.encode()).hexdigest()} 50\n")
    stack = Stack(tmp_path, BYLINE_KEYS_FILE=str(keys), BYLINE_LOG_LEVEL="DEBUG")
    stack.env["FLOWER_BASIC_AUTH"] = ":".join(LOGIN)
    stack.env["BYLINE_REDIS_URL"] = f"redis://:{QUOTED}@127.0.0.1:{stack.redis_port}/0"
    stack.env["BYLINE_MONITOR_PORT"] = str(free_port())
    try:
        yield stack
    finally:
        stack.close()


def exporter(stack: Stack) -> Part:
    program = ROOT / "compose" / "parts" / "exporter.py"
    command = [str(EXPORTER), "-I", "-u", str(program), "1000"]
    options = ("--host=127.0.0.1", f"--port={free_port()}", "--log-level=WARNING")
    return stack.start(
        [*command, *options], "exporter", CE_BROKER_URL=stack.env["BYLINE_REDIS_URL"]
    )


def module(stack: Stack, name: str, *arguments: str) -> Part:
    """Starts a program that an operator may start by hand."""
    command = [sys.executable, "-m", name, *arguments]
    return stack.start(command, f"{name}-{len(stack.parts)}", BYLINE_METRICS_PORT=str(free_port()))


@contextlib.contextmanager
def babbling(port: int) -> Iterator[None]:
    """Runs a server on the port that is no Redis: it answers like a web server."""
    with socket.create_server(("127.0.0.1", port)) as listener:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    with listener.accept()[0] as client:
                        client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def all_say_more(parts: list[Part], change: str) -> None:
    """Waits until each part has written new output. Fails if a part has ended."""
    before = {part: len(part.output) for part in parts}

    def said() -> bool:
        ended = [part for part in parts if not part.alive]
        assert not ended, "\n".join(part.output for part in ended)
        return all(len(part.output) > before[part] for part in parts)

    wait_for(said, 150, f"output of each part, as {change}")


def pages(stack: Stack, flower: int) -> str:
    """Returns the pages of all parts, errors included."""
    monitor, api = stack.env["BYLINE_MONITOR_PORT"], stack.env["BYLINE_API_METRICS_PORT"]
    bearer = {"Authorization": f"Bearer {KEY}"}
    asked = [
        *((f"{stack.url}{path}", bearer) for path in ("/readyz", "/v1/models", "/v1/figures")),
        *((f"http://127.0.0.1:{port}/metrics", {}) for port in (monitor, api)),
        *((f"http://127.0.0.1:{flower}{path}", {}) for path in ("/broker", "/workers?json=1")),
    ]
    told = [
        httpx.get(url, headers=headers, auth=LOGIN if not headers else None, timeout=20)
        for url, headers in asked
    ]
    body = {"text": "hello"}
    told.append(httpx.post(f"{stack.url}/v1/attributions?wait=1", json=body, headers=bearer))
    return "".join(f"{answer.headers}{answer.text}" for answer in told)


def test_no_part_shows_a_secret_when_redis_stops_or_is_replaced(stack: Stack) -> None:
    flower = free_port()
    server = locked(stack, PASSWORD, "right")
    options = ("flower", "--address=127.0.0.1", f"--port={flower}", "--logging=error")
    started = [
        stack.start_worker(),
        stack.start_api(),
        module(stack, "monitoring"),
        module(stack, "celery", "-A", "celery_app", *options),
        *([exporter(stack)] if EXPORTER.exists() else []),
    ]

    def ready() -> bool:
        with contextlib.suppress(httpx.TransportError):
            urls = [f"{stack.url}/readyz", f"http://127.0.0.1:{flower}/healthcheck"]
            urls.append(f"http://127.0.0.1:{stack.env['BYLINE_MONITOR_PORT']}/metrics")
            return all(httpx.get(url, timeout=5).status_code == 200 for url in urls)
        return False

    wait_for(ready, 120, "all parts")
    app = make_celery(Settings(redis_url=SecretURL(stack.env["BYLINE_REDIS_URL"])))
    inspect = app.control.inspect(timeout=10, limit=1)
    told = [inspect.stats(), inspect.conf(True), inspect.report()]
    assert all(told)
    shown = f"{told}{app.bugreport()}" + pages(stack, flower)
    server.kill()
    # Flower and the exporter may retry for minutes and log nothing, so the test does not wait for
    # them. Flower logs its error when its page of the broker is asked for.
    all_say_more(started[:3], "nobody listens there")
    shown += pages(stack, flower)
    other = locked(stack, "another", "wrong")
    all_say_more(started[:3], "the password is another")
    other.kill()
    with babbling(stack.redis_port):
        all_say_more(started[:3], "no Redis is there")
        shown += pages(stack, flower)
    shown += "".join(part.output for part in stack.parts)
    assert MARK not in shown


WORKER, API, MONITOR = ("celery_app.worker",), ("api",), ("monitoring",)
RUN = ("compose.native", "--exporter", sys.executable)
LIST, LETTERS = ("celery_app.models", "list"), ("celery_app.dead_letters", "list")
CELERY = ("celery", "-A", "celery_app", "inspect", "ping", "--timeout=1")
#: Mistakes in the URL of Redis: the beginning of the URL, and the programs to start with it.
MISTAKES = {
    "the password is not quoted": (
        f"redis://:{PASSWORD}@",
        (WORKER, API, MONITOR, RUN, LIST, LETTERS, CELERY),
    ),
    "the password is wrong": (f"redis://byline:{QUOTED}@", (WORKER, API, MONITOR, RUN, LIST)),
    "no TLS is spoken": (f"rediss://:{QUOTED}@", (WORKER, RUN, LETTERS)),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_no_program_shows_a_secret_when_it_can_not_start(stack: Stack, mistake: str) -> None:
    url, programs = MISTAKES[mistake]
    query = f"?ssl_password={MARK}" if url.startswith("rediss:") else ""
    locked(stack, "another", "wrong")
    for server in ("REDIS", "CACHE"):
        stack.env[f"BYLINE_{server}_URL"] = f"{url}127.0.0.1:{stack.redis_port}/0{query}"
    started = [module(stack, *program) for program in programs]
    for part in started:
        wait_until_it_says_why(part)
    assert MARK not in "".join(part.output for part in stack.parts)


def wait_until_it_says_why(part: Part) -> None:
    """Waits until a part ends or logs an error: some parts retry for ever."""
    words = re.compile("error|invalid|can't|no redis", re.IGNORECASE)
    wait_for(lambda: words.search(part.output) or not part.alive, 120, part.log.stem)
    assert part.output
