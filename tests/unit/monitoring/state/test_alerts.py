"""The monitor keeps the alerts that Alertmanager posts, and forgets alerts without repetition."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge

from monitoring.monitor.server import application
from monitoring.state import alerts
from monitoring.state.alerts import (
    FORGET_AFTER_S,
    MAX_ALERTS,
    MAX_MESSAGE_BYTES,
    MAX_TEXT_LENGTH,
    SETTLED_AFTER_S,
    Alerts,
)


def sent(name: str, status: str = "firing", severity: str = "warning") -> dict[str, Any]:
    """Returns an alert as Alertmanager's webhook sends it."""
    return {
        "status": status,
        "labels": {"alertname": name, "severity": severity, "instance": "127.0.0.1:9807"},
        "annotations": {
            "summary": f"{name} is 42",
            "description": "More than it should be.",
            "runbook_url": f"/alerting/runbooks/{name}.md",
        },
        "startsAt": "2026-01-02T03:04:05Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://127.0.0.1:9095/graph",
        "fingerprint": f"of {name}",
    }


def message(*grouped: dict[str, Any]) -> bytes:
    return json.dumps({"version": "4", "status": "firing", "alerts": grouped}).encode()


def names(received: Alerts) -> list[str] | None:
    stored = received.firing()
    return None if stored is None else [alert.name for alert in stored.firing]


def post(received: Alerts, body: bytes, **environ: str) -> tuple[str, bytes]:
    """Posts to the monitor's port; returns the status and the body."""
    gauge = CollectorRegistry()
    Gauge("byline_of_the_test", "A metric.", registry=gauge).set(7)
    environment: dict[str, Any] = {
        "PATH_INFO": "/alerts",
        "REQUEST_METHOD": "POST",
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    statuses: list[str] = []
    body_parts = application(gauge, received)(
        environment | environ, lambda status, headers: statuses.append(status)
    )
    return statuses[0], b"".join(body_parts)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("monitoring.state.alerts.time.monotonic", lambda: now[0])
    return now


def test_firing_alerts_are_listed_most_severe_first_until_they_end(clock: list[float]) -> None:
    received = Alerts()
    assert received.firing() is None
    received.receive(message(sent("QueueOld"), sent("Watchdog", severity="none")))
    received.receive(message(sent("NoWorker", severity="critical")))
    assert names(received) == ["NoWorker", "QueueOld"]
    stored = received.firing()
    assert stored is not None
    assert stored.firing[1] == alerts.Alert(
        *("QueueOld", "warning", "QueueOld is 42", "More than it should be."),
        *("2026-01-02T03:04:05Z", "/alerting/runbooks/QueueOld.md"),
    )
    received.receive(message(sent("NoWorker", "resolved", "critical")))
    assert names(received) == ["QueueOld"]
    clock[0] += SETTLED_AFTER_S
    received.receive(message(sent("QueueOld", "resolved")))
    assert names(received) == []


def test_watchdog_alone_means_no_alerts_after_the_settling_time(clock: list[float]) -> None:
    received = Alerts()
    received.receive(message(sent("Watchdog", severity="none")))
    clock[0] += SETTLED_AFTER_S - 1
    assert names(received) is None, "alerts that fire already are repeated within a minute"
    clock[0] += 2
    assert names(received) == []


def test_alert_that_is_not_repeated_is_forgotten(clock: list[float]) -> None:
    received = Alerts()
    received.receive(message(sent("QueueOld")))
    clock[0] += FORGET_AFTER_S - 1
    received.receive(message(sent("Watchdog", severity="none")))
    assert names(received) == ["QueueOld"]
    clock[0] += 2
    assert names(received) == []
    clock[0] += FORGET_AFTER_S
    assert names(received) is None
    received.receive(message(sent("Watchdog", severity="none")))
    assert names(received) is None, "the settling time begins anew"


def test_number_and_length_of_kept_alerts_are_bounded() -> None:
    received = Alerts()
    received.receive(message(*(sent(f"Alert{number}") for number in range(2 * MAX_ALERTS))))
    long = sent("Alert1")
    long["annotations"]["summary"] = "x" * 10 * MAX_TEXT_LENGTH
    received.receive(message(long))
    # The most severe alert is kept, also in a full list.
    received.receive(message(sent("NoWorker", severity="critical")))
    stored = received.firing()
    assert stored is not None
    assert len(stored.firing) == MAX_ALERTS
    assert stored.firing[0].name == "NoWorker"
    assert max(len(alert.summary) for alert in stored.firing) == MAX_TEXT_LENGTH


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"\xff", b'{"alerts": [{"status": "firing"}]}', b"[" * 100_000]
)
def test_unreadable_message_is_refused_and_changes_nothing(body: bytes) -> None:
    received = Alerts()
    received.receive(message(sent("QueueOld")))
    status, words = post(received, body)
    assert status.startswith("400 ")
    assert words.startswith(b"not a message of Alertmanager: ")
    assert names(received) == ["QueueOld"]


def test_alerts_must_be_posted_as_json_with_a_length() -> None:
    received = Alerts()
    body = message(sent("QueueOld"))
    assert post(received, body, REQUEST_METHOD="GET")[0].startswith("405 ")
    assert post(received, body, CONTENT_TYPE="text/plain")[0].startswith("415 ")
    assert post(received, body, CONTENT_LENGTH="")[0].startswith("411 ")
    assert post(received, body, CONTENT_LENGTH="-1")[0].startswith("411 ")
    assert post(received, body, CONTENT_LENGTH=str(MAX_MESSAGE_BYTES + 1))[0].startswith("413 ")
    assert received.firing() is None
    assert post(received, body) == ("204 No Content", b"")
    assert names(received) == ["QueueOld"]


def test_metrics_are_served_on_the_same_port() -> None:
    status, page = post(Alerts(), b"", PATH_INFO="/metrics", REQUEST_METHOD="GET")
    assert status.startswith("200 ")
    assert b"byline_of_the_test 7.0" in page
