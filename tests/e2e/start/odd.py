"""Odd but documented ways to start Byline. Each way is a function that changes a ``Start``."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from celery import Celery

from tests.e2e.conftest import Run
from tests.parts import Stack, free_port

#: Length of a path that is too long for a socket's name after it, in characters.
LONG = 100
#: Number of texts in the queue before the start, and the model's seconds for each text.
BACKLOG, SLOW_S = 6, 1.0
KEY = "byline_odd"

#: One client for all tests, since to make a client is slow. Each request has a new connection.
_CLIENT = httpx.Client(
    verify=False, trust_env=False, timeout=20, limits=httpx.Limits(max_keepalive_connections=0)
)


@dataclass
class Start:
    """How to start Byline, and what to check once Byline runs."""

    folder: Path
    #: A Redis beside Byline.
    own: Stack
    settings: dict[str, str] = field(default_factory=dict)
    #: The shell command that starts Byline.
    shell: str = 'exec "$@"'
    watched: bool = False
    #: Whether the runner can print its whole output.
    heard: bool = True
    #: The expected status of the answer to a new message.
    status: int = 200
    checks: list[Callable[[Run], None]] = field(default_factory=list)

    def run(self) -> Run:
        """Starts Byline."""
        return Run(self.folder, self.watched, self.shell, **self.settings)


def attribute(run: Run, text: str) -> httpx.Response:
    """Sends a message to the address of the run's settings. A failed connection is status 503."""
    host = run.env.get("BYLINE_API_HOST", "127.0.0.1").replace("0.0.0.0", "127.0.0.1")
    host = f"[{host}]" if ":" in host else host
    url = f"http://{host}:{run.ports['api']}/v1/attributions"
    headers = {"Authorization": f"Bearer {KEY}"} if "BYLINE_KEYS_FILE" in run.env else {}
    try:
        return _CLIENT.post(url, json={"text": text}, headers=headers)
    except httpx.TransportError as error:
        return httpx.Response(503, text=repr(error))


def keys_file(start: Start) -> None:
    file = start.folder / "keys.txt"
    file.write_text(f"odd sha256:{sha256(KEY.encode()).hexdigest()} 50\n")
    start.settings["BYLINE_KEYS_FILE"] = str(file)

    def refused_without(run: Run) -> None:
        answer = httpx.post(f"{run.api}/v1/attributions", json={"text": "who asks?"})
        assert answer.status_code == 401

    start.checks.append(refused_without)


def short_waits(start: Start) -> None:
    start.settings["BYLINE_WAIT_MAX_S"] = "10"


def short_texts(start: Start) -> None:
    start.settings["BYLINE_MAX_CHARACTERS"] = "150"


def a_model_that_raises(start: Start) -> None:
    start.settings["BYLINE_MODEL"] = "tests.models:Curt"


def memory_critical(start: Start) -> None:
    """New messages must be refused, but no part may end."""
    start.settings["BYLINE_MEMORY_GB"] = "0.1"
    start.status = 503

    def says_so(run: Run) -> None:
        answer = attribute(run, "Is there room for aubergines?")
        assert answer.json()["code"] == "overloaded", answer.text
        assert "memory" in answer.json()["detail"]

    start.checks.append(says_so)


def a_backlog(start: Start) -> None:
    """The queue has more tasks than can be answered while the sample message waits."""
    url = start.settings.setdefault("BYLINE_REDIS_URL", start.own.env["BYLINE_REDIS_URL"])
    app = Celery(broker=url, backend=url, set_as_current=False)
    queued = [
        app.send_task("byline.attribute", [[f"aeiou from before, {number}"]], queue="attributions")
        for number in range(BACKLOG)
    ]
    start.settings |= {
        "TEST_MODEL_SECONDS": str(SLOW_S),
        "BYLINE_BATCH_MESSAGES": "1",
        "BYLINE_CHUNK_MESSAGES": "1",
        "BYLINE_WAIT_S": "2",
        "BYLINE_WAIT_MAX_S": "2",
    }

    def answered(run: Run) -> None:
        for task in queued:
            assert task.get(timeout=30)[0]["candidates"]
        app.close()

    start.checks.append(answered)


def two_workers(start: Start) -> None:
    start.settings["BYLINE_WORKERS"] = "2"


def two_processes(start: Start) -> None:
    start.settings["BYLINE_API_PROCESSES"] = "2"


def prometheus(start: Start) -> None:
    if shutil.which("prometheus") is None and os.environ.get("CI") != "true":
        pytest.skip("prometheus is not installed")
    start.watched = True
    start.settings["BYLINE_PROMETHEUS_PORT"] = str(free_port())

    def is_there(run: Run) -> None:
        assert httpx.get(f"{run.login_url('prometheus')}/-/ready").status_code == 200

    start.checks.append(is_there)


def no_prometheus(start: Start) -> None:
    start.settings["BYLINE_PROMETHEUS_PORT"] = "0"


def own_redis(start: Start) -> None:
    """Byline uses the user's own Redis. The password is in a file."""
    password, port = "hush-aubergines", free_port()
    start.own.valkey(port, "guarded", f"--requirepass {password}")
    file = start.folder / "redis-password"
    file.write_text(f"{password}\n")
    url = f"redis://127.0.0.1:{port}/0"
    start.settings |= {"BYLINE_REDIS_URL": url, "BYLINE_REDIS_PASSWORD_FILE": str(file)}

    def keeps_it(run: Run) -> None:
        assert password not in run.output
        assert not any(password in line for line in run.command_lines())

    start.checks.append(keeps_it)


def own_cache(start: Start) -> None:
    """The cache is on another Redis server."""
    start.own.valkey(port := free_port(), "cache")
    start.settings["BYLINE_CACHE_URL"] = f"redis://127.0.0.1:{port}/0"


def long_temporary_folder(start: Start) -> None:
    folder = start.folder / ("t" * max(1, LONG - len(str(start.folder)) - 1))
    folder.mkdir()
    start.settings["TMPDIR"] = str(folder)

    def empty(run: Run) -> None:
        run.interrupt()
        assert list(folder.iterdir()) == []

    start.checks.append(empty)


def dead_proxy(start: Start) -> None:
    proxy = f"http://127.0.0.1:{free_port()}"
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        start.settings |= {name: proxy, name.upper(): proxy}


def odd_state_folder(start: Start) -> None:
    folder = start.folder / "Späte Post, 100 % %s %(here)s"
    start.settings["BYLINE_STATE_DIR"] = str(folder)


def ipv6(start: Start) -> None:
    start.settings |= {"BYLINE_API_HOST": "::1", "BYLINE_METRICS_HOST": "::1"}


def all_addresses(start: Start) -> None:
    start.settings |= {"BYLINE_API_HOST": "0.0.0.0", "BYLINE_METRICS_HOST": "0.0.0.0"}


def debug_log(start: Start) -> None:
    start.settings["BYLINE_LOG_LEVEL"] = "DEBUG"


def little_cache(start: Start) -> None:
    start.settings |= {"BYLINE_REDIS_MEGABYTES": "4", "BYLINE_LOCAL_CACHE_MESSAGES": "0"}


def one_at_a_time(start: Start) -> None:
    names = ("BATCH_MESSAGES", "CHUNK_MESSAGES", "CREDITS", "MAX_BULK", "DISPATCHER_MESSAGES")
    start.settings |= {f"BYLINE_{name}": "1" for name in names}


def short_results(start: Start) -> None:
    names = ("RESULT_TTL_S", "WAIT_S", "WAIT_MAX_S")
    start.settings |= {f"BYLINE_{name}": "2" for name in names}


def hurried(start: Start) -> None:
    start.settings |= {
        "BYLINE_VISIBILITY_TIMEOUT_S": "2",
        "BYLINE_BATCH_TIMEOUT_S": "2",
        "BYLINE_BATCH_WAIT_MS": "50",
    }


def nohup(start: Start) -> None:
    """Byline goes on after its terminal was closed."""
    start.shell = 'exec nohup "$@"'

    def goes_on(run: Run) -> None:
        run.part.process.send_signal(signal.SIGHUP)
        for number in range(3):
            assert attribute(run, f"aeiou, nobody is there, {number}").status_code == 200
        assert run.part.alive, run.output

    start.checks.append(goes_on)


def stdout_closed(start: Start) -> None:
    """As with ``make run | head -3``, which ends before the fourth line."""
    start.shell = """exec bash -c 'exec "$@" > >(head -n 3)' bash "$@\""""
    start.heard = False


#: All odd starts, by name.
ODD: dict[str, Callable[[Start], None]] = {
    each.__name__: each
    for each in (
        *(keys_file, short_waits, short_texts, a_model_that_raises, memory_critical, a_backlog),
        *(two_workers, two_processes, prometheus, no_prometheus, own_redis, own_cache),
        *(long_temporary_folder, dead_proxy, odd_state_folder, ipv6, all_addresses, debug_log),
        *(little_cache, one_at_a_time, short_results, hurried, nohup, stdout_closed),
    )
}
