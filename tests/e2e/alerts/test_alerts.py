"""Alerts arrive: real Prometheus and Alertmanager, with a real system in trouble.

`make alerts`, ALERTS=all, provokes each; ordinarily it is one, for all take half an hour.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from celery import Celery

from celery_app.app import make_celery
from celery_app.settings import Settings
from tasks.rollout import queue_of
from tests.e2e.alerts.alarmed import Alarmed, Traffic, each, needs_alertmanager
from tests.e2e.alerts.wording import consequences
from tests.parts import ROOT, Stack, wait_for

pytestmark = needs_alertmanager
MODEL = "tests.e2e.watched:Troubled"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A server for the cache alone."""
    stack = Stack(tmp_path_factory.mktemp("cache"))
    try:
        stack.valkey()
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, cache: Stack) -> Iterator[Alarmed]:
    settings = {
        "BYLINE_MODEL": MODEL,
        "BYLINE_CACHE_URL": cache.env["BYLINE_REDIS_URL"],
        "BYLINE_BATCH_MESSAGES": "8",
        "BYLINE_CHUNK_MESSAGES": "8",
        "BYLINE_WORKERS": "2",
    }
    alarmed = Alarmed(tmp_path_factory.mktemp("service"), **settings)
    try:
        yield alarmed.start()
    finally:
        alarmed.close()


@pytest.fixture
def traffic(service: Alarmed) -> Iterator[Traffic]:
    """Messages, none of which was sent before; all is calm before and after."""
    with Traffic(service.run, 20) as traffic:
        yield traffic
        service.calm()


def test_workers_that_hang_are_told_and_that_they_are_back(service: Alarmed) -> None:
    begin = time.monotonic()
    with service.frozen("worker-1", "worker-2"):
        service.told(begin, "NoWorker", "critical")
        wait_for(lambda: "NoWorker" in (_shown(service) or ()), 20, "the console")
        again = time.monotonic()
    service.over(again, "NoWorker", "critical")
    wait_for(lambda: "NoWorker" not in (_shown(service) or ()), 20, "the console")


@each
@pytest.mark.parametrize(
    ("alert", "texts"),
    [
        ("AvailabilityBurn", ("POISON", "good", "good", "good", "good")),
        ("LatencyBurn", ("SLOW 150",)),
    ],
)
def test_errors_and_latency(
    service: Alarmed, traffic: Traffic, alert: str, texts: tuple[str, ...]
) -> None:
    begin = time.monotonic()
    traffic.text = lambda n: f"{texts[n % len(texts)]} {n} of {alert}"
    service.told(begin, alert, "critical")
    again = time.monotonic()
    traffic.text = lambda n: f"well again, {n} of {alert}"
    service.over(again, alert, "critical")


@each
def test_a_queue_that_grows_and_workers_killed_with_tasks_in_hand(service: Alarmed) -> None:
    app = _client(service)
    begin = time.monotonic()
    sent = [
        app.send_task("byline.attribute", [[f"SLOW 400 {begin} {number}"]])
        for number in range(1600)
    ]
    service.told(begin, "QueueDeep", "warning")
    service.told(begin, "QueueOld", "warning")
    for worker in ("worker-1", "worker-2"):
        os.kill(service.pid(worker), signal.SIGKILL)
    killed = time.monotonic()
    service.told(begin, "QueueOld", "critical")
    service.told(begin, "TasksRedelivered", "warning")
    draining = time.monotonic()
    assert all(result.get(timeout=240) for result in sent), "nothing is lost"
    again = time.monotonic()
    for alert, severity in (("QueueOld", "critical"), ("TasksRedelivered", "warning")):
        # The queue is empty as soon as workers have the last of it.
        service.over(again, alert, severity, earliest=draining)
    # It is shallow long before it is empty, maybe before the last alert is told. What would silence
    # the end, NoWorker and WorkerDeaf, is over by then: workers have made it shallow.
    service.over(again, "QueueDeep", "warning", earliest=killed)
    service.calm()


@each
def test_workers_that_take_nothing(service: Alarmed) -> None:
    app = _client(service)
    begin = time.monotonic()
    queue = queue_of(service.run.model["card"]["version"])
    app.control.cancel_consumer(queue, reply=True)
    sent = app.send_task("byline.attribute", [["for nobody"]])
    service.told(begin, "WorkerDeaf", "critical")
    again = time.monotonic()
    app.control.add_consumer(queue, reply=True)  # which waits a second for replies
    assert sent.get(timeout=60)
    service.over(again, "WorkerDeaf", "critical")
    service.calm()


@each
def test_messages_that_kill_workers(service: Alarmed) -> None:
    begin = time.monotonic()
    texts = [{"text": f"DEADLY {number}"} for number in range(5)]
    url = f"{service.run.api}/v1/attributions"
    httpx.post(url, json={"messages": texts}, params={"wait": 0}, timeout=20).raise_for_status()
    service.told(begin, "DeadLetters", "warning")
    service.told(begin, "DeadLettersGrow", "critical")
    again = time.monotonic()
    ids = re.findall(r"^([0-9a-f]{32}) ", _dead_letters(service, "list"), re.MULTILINE)
    assert len(ids) == len(texts)
    for id in ids:
        _dead_letters(service, "drop", id)
    service.over(again, "DeadLetters", "warning")
    service.over(again, "DeadLettersGrow", "critical")
    service.calm()


@each
def test_a_part_that_dies_again_and_again(service: Alarmed) -> None:
    begin = time.monotonic()
    for _ in range(5):
        started = _started(service, "flower")
        os.kill(service.pid("flower"), signal.SIGKILL)
        wait_for(lambda: _started(service, "flower") not in (None, started), 30, "Flower")  # noqa: B023
    service.told(begin, "CrashLoop", "critical")
    service.over(time.monotonic(), "CrashLoop", "critical")
    service.calm()


@each
def test_the_broker(service: Alarmed, traffic: Traffic) -> None:
    begin = time.monotonic()
    with service.frozen("valkey"):
        service.told(begin, "BrokerDown", "critical")
        told = time.monotonic()
        # All gets 503, so that something follows; it may have been told before BrokerDown was.
        wait_for(lambda: service.silenced("BrokerDown"), 60, "what follows, silenced")
        time.sleep(5)  # as long as a message takes to arrive, and more
        again = time.monotonic()
    service.over(again, "BrokerDown", "critical")
    then = [said.firing for said in service.receivers.said if told <= said.at < again]
    assert set().union(*then) & consequences("BrokerDown") == set()


@each
def test_the_cache(service: Alarmed, traffic: Traffic, cache: Stack) -> None:
    begin = time.monotonic()
    os.killpg(cache.parts[0].process.pid, signal.SIGSTOP)
    try:
        service.told(begin, "CacheDown", "warning")
    finally:
        os.killpg(cache.parts[0].process.pid, signal.SIGCONT)
    service.over(time.monotonic(), "CacheDown", "warning")


@each
def test_a_cache_that_knows_nothing_any_more(service: Alarmed, traffic: Traffic) -> None:
    traffic.text = lambda n: "the same again"
    known = "system:byline_messages_cached:ratio_rate1d > 0.9"
    wait_for(lambda: service.ask(known), 120, "hits")
    begin = time.monotonic()
    traffic.text = lambda n: f"never before, {begin} {n}"
    service.told(begin, "CacheHitsCollapsed", "warning")
    # It ends once the lower ratio has become the usual one.
    service.over(time.monotonic(), "CacheHitsCollapsed", "warning")


@each
@pytest.mark.parametrize(
    ("part", "alert", "severity"),
    [
        ("api", "ApiDown", "critical"),
        ("monitor", "MonitorDown", "critical"),
        ("flower", "TargetDown", "warning"),
    ],
)
def test_a_part_that_hangs(service: Alarmed, part: str, alert: str, severity: str) -> None:
    begin = time.monotonic()
    with service.frozen(part):
        service.told(begin, alert, severity)
        again = time.monotonic()
    service.over(again, alert, severity)
    service.calm()


@each
def test_a_target_that_nobody_named(service: Alarmed) -> None:
    begin = time.monotonic()
    with service.targets(lambda targets: targets.pop("flower")):
        service.told(begin, "TargetMissing", "warning")
        again = time.monotonic()
    service.over(again, "TargetMissing", "warning")
    service.calm()


@each
def test_metrics_that_are_not_there(service: Alarmed) -> None:
    begin = time.monotonic()
    with service.targets(lambda targets: targets.update(worker=targets["redis"])):
        service.told(begin, "MetricMissing", "warning")
        again = time.monotonic()
    service.over(again, "MetricMissing", "warning")
    service.calm()


def _shown(service: Alarmed) -> list[str] | None:
    """The alerts that the console shows; None: Alertmanager says nothing."""
    figures = httpx.get(f"{service.run.api}/v1/figures", params={"points": 1}, timeout=10).json()
    return figures["alerts"] and [alert["name"] for alert in figures["alerts"]["firing"]]


def _client(service: Alarmed) -> Celery:
    return make_celery(Settings.from_environ(_environ(service)))


def _environ(service: Alarmed) -> dict[str, str]:
    broker = f"redis://127.0.0.1:{service.run.ports['redis']}/0"
    return {**service.run.env, "BYLINE_REDIS_URL": broker}


def _started(service: Alarmed, job: str) -> str | None:
    found = service.ask(f'process_start_time_seconds{{job="{job}"}}')
    return found[0]["value"][1] if found else None


def _dead_letters(service: Alarmed, *command: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "celery_app.dead_letters", *command],
        check=True,
        cwd=ROOT,
        env={**os.environ, **_environ(service)},
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
