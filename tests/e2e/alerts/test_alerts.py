"""Provokes alerts in a real system, with real Prometheus and Alertmanager, until they arrive.

`make alerts` sets ALERTS=all and provokes each alert, which takes half an hour. Otherwise the tests
provoke one alert.
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
    """A second Redis server, for the cache."""
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
    """Sends new messages. At the end, waits until no alert fires."""
    with Traffic(service.run, 20) as traffic:
        yield traffic
        service.calm()


def test_the_alert_about_hanging_workers_arrives_and_ends(service: Alarmed) -> None:
    begin = time.monotonic()
    with service.frozen("worker-1", "worker-2"):
        service.told(begin, "NoWorker", "critical")
        wait_for(lambda: "NoWorker" in (_shown(service) or ()), 20, "the console")
        again = time.monotonic()
    service.over(again, "NoWorker", "critical")
    # On a busy machine, the workers that go on may be late again, and the alert then fires again.
    wait_for(lambda: "NoWorker" not in (_shown(service) or ()), 60, "the console")


@each
@pytest.mark.parametrize(
    ("alert", "texts"),
    [
        ("AvailabilityBurn", ("POISON", "good", "good", "good", "good")),
        ("LatencyBurn", ("SLOW 150",)),
    ],
)
def test_errors_and_latency_raise_alerts(
    service: Alarmed, traffic: Traffic, alert: str, texts: tuple[str, ...]
) -> None:
    begin = time.monotonic()
    traffic.text = lambda n: f"{texts[n % len(texts)]} {n} of {alert}"
    service.told(begin, alert, "critical")
    again = time.monotonic()
    traffic.text = lambda n: f"well again, {n} of {alert}"
    service.over(again, alert, "critical")


@each
def test_a_growing_queue_and_killed_workers_raise_alerts(service: Alarmed) -> None:
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
        # The queue is empty as soon as workers have taken the last task.
        service.over(again, alert, severity, earliest=draining)
    # The queue is short long before it is empty, maybe before the last alert arrives. NoWorker and
    # WorkerDeaf would silence the end of QueueDeep, but are over: workers have shortened the queue.
    service.over(again, "QueueDeep", "warning", earliest=killed)
    service.calm()


@each
def test_workers_that_take_no_task_raise_an_alert(service: Alarmed) -> None:
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
def test_messages_that_kill_workers_raise_alerts(service: Alarmed) -> None:
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
def test_a_part_that_dies_repeatedly_raises_an_alert(service: Alarmed) -> None:
    begin = time.monotonic()
    for _ in range(5):
        started = _started(service, "flower")
        os.kill(service.pid("flower"), signal.SIGKILL)
        wait_for(lambda: _started(service, "flower") not in (None, started), 30, "Flower")  # noqa: B023
    service.told(begin, "CrashLoop", "critical")
    service.over(time.monotonic(), "CrashLoop", "critical")
    service.calm()


@each
def test_a_frozen_broker_raises_an_alert_and_silences_others(
    service: Alarmed, traffic: Traffic
) -> None:
    begin = time.monotonic()
    with service.frozen("valkey"):
        service.told(begin, "BrokerDown", "critical")
        told = time.monotonic()
        # All requests get 503, which raises other alerts, maybe even before BrokerDown.
        wait_for(lambda: service.silenced("BrokerDown"), 60, "what follows, silenced")
        time.sleep(5)  # longer than a message takes to arrive
        again = time.monotonic()
    service.over(again, "BrokerDown", "critical")
    then = [said.firing for said in service.receivers.said if told <= said.at < again]
    assert set().union(*then) & consequences("BrokerDown") == set()


@each
def test_a_frozen_cache_raises_an_alert(service: Alarmed, traffic: Traffic, cache: Stack) -> None:
    begin = time.monotonic()
    os.killpg(cache.parts[0].process.pid, signal.SIGSTOP)
    try:
        service.told(begin, "CacheDown", "warning")
    finally:
        os.killpg(cache.parts[0].process.pid, signal.SIGCONT)
    service.over(time.monotonic(), "CacheDown", "warning")


@each
def test_a_cache_without_hits_raises_an_alert(service: Alarmed, traffic: Traffic) -> None:
    traffic.text = lambda n: "the same again"
    known = "system:byline_messages_cached:ratio_rate1d > 0.9"
    wait_for(lambda: service.ask(known), 120, "hits")
    begin = time.monotonic()
    traffic.text = lambda n: f"never before, {begin} {n}"
    service.told(begin, "CacheHitsCollapsed", "warning")
    # The alert ends when the lower ratio has become the usual ratio.
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
def test_a_part_that_hangs_raises_an_alert(
    service: Alarmed, part: str, alert: str, severity: str
) -> None:
    begin = time.monotonic()
    with service.frozen(part):
        service.told(begin, alert, severity)
        again = time.monotonic()
    service.over(again, alert, severity)
    service.calm()


@each
def test_a_missing_target_raises_an_alert(service: Alarmed) -> None:
    begin = time.monotonic()
    with service.targets(lambda targets: targets.pop("flower")):
        service.told(begin, "TargetMissing", "warning")
        again = time.monotonic()
    service.over(again, "TargetMissing", "warning")
    service.calm()


@each
def test_missing_metrics_raise_an_alert(service: Alarmed) -> None:
    begin = time.monotonic()
    with service.targets(lambda targets: targets.update(worker=targets["redis"])):
        service.told(begin, "MetricMissing", "warning")
        again = time.monotonic()
    service.over(again, "MetricMissing", "warning")
    service.calm()


def _shown(service: Alarmed) -> list[str] | None:
    """Returns the alerts that the console shows; None if Alertmanager does not respond."""
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
