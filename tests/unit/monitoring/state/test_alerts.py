"""What the monitor makes of Alertmanager's messages."""

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
    """An alert as Alertmanager's webhook sends it."""
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


def names(heard: Alerts) -> list[str] | None:
    told = heard.firing()
    return None if told is None else [alert.name for alert in told.firing]


def post(heard: Alerts, body: bytes, **environ: str) -> tuple[str, bytes]:
    """Post to the monitor's port; return the status and the answer."""
    gauge = CollectorRegistry()
    Gauge("byline_of_the_test", "A metric.", registry=gauge).set(7)
    asked: dict[str, Any] = {
        "PATH_INFO": "/alerts",
        "REQUEST_METHOD": "POST",
        "QUERY_STRING": "",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }
    said: list[str] = []
    answer = application(gauge, heard)(asked | environ, lambda status, headers: said.append(status))
    return said[0], b"".join(answer)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("monitoring.state.alerts.time.monotonic", lambda: now[0])
    return now


def test_firing_alerts_are_listed_most_severe_first_until_they_end(clock: list[float]) -> None:
    heard = Alerts()
    assert heard.firing() is None
    heard.receive(message(sent("QueueOld"), sent("Watchdog", severity="none")))
    heard.receive(message(sent("NoWorker", severity="critical")))
    assert names(heard) == ["NoWorker", "QueueOld"]
    told = heard.firing()
    assert told is not None
    assert told.firing[1] == alerts.Alert(
        *("QueueOld", "warning", "QueueOld is 42", "More than it should be."),
        *("2026-01-02T03:04:05Z", "/alerting/runbooks/QueueOld.md"),
    )
    heard.receive(message(sent("NoWorker", "resolved", "critical")))
    assert names(heard) == ["QueueOld"]
    clock[0] += SETTLED_AFTER_S
    heard.receive(message(sent("QueueOld", "resolved")))
    assert names(heard) == []


def test_watchdog_alone_means_no_alerts_after_the_settling_time(clock: list[float]) -> None:
    heard = Alerts()
    heard.receive(message(sent("Watchdog", severity="none")))
    clock[0] += SETTLED_AFTER_S - 1
    assert names(heard) is None, "what fires already is said again within a minute"
    clock[0] += 2
    assert names(heard) == []


def test_alert_that_is_not_repeated_is_forgotten(clock: list[float]) -> None:
    heard = Alerts()
    heard.receive(message(sent("QueueOld")))
    clock[0] += FORGET_AFTER_S - 1
    heard.receive(message(sent("Watchdog", severity="none")))
    assert names(heard) == ["QueueOld"]
    clock[0] += 2
    assert names(heard) == []
    clock[0] += FORGET_AFTER_S
    assert names(heard) is None
    heard.receive(message(sent("Watchdog", severity="none")))
    assert names(heard) is None, "it begins anew"


def test_number_and_length_of_kept_alerts_are_bounded() -> None:
    heard = Alerts()
    heard.receive(message(*(sent(f"Alert{number}") for number in range(2 * MAX_ALERTS))))
    long = sent("Alert1")
    long["annotations"]["summary"] = "x" * 10 * MAX_TEXT_LENGTH
    heard.receive(message(long))
    heard.receive(
        message(sent("NoWorker", severity="critical"))
    )  # there is always room for the worst
    told = heard.firing()
    assert told is not None
    assert len(told.firing) == MAX_ALERTS
    assert told.firing[0].name == "NoWorker"
    assert max(len(alert.summary) for alert in told.firing) == MAX_TEXT_LENGTH


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b"\xff", b'{"alerts": [{"status": "firing"}]}', b"[" * 100_000]
)
def test_unreadable_message_is_refused_and_changes_nothing(body: bytes) -> None:
    heard = Alerts()
    heard.receive(message(sent("QueueOld")))
    status, words = post(heard, body)
    assert status.startswith("400 ")
    assert words.startswith(b"not a message of Alertmanager: ")
    assert names(heard) == ["QueueOld"]


def test_alerts_must_be_posted_as_json_with_a_length() -> None:
    heard = Alerts()
    body = message(sent("QueueOld"))
    assert post(heard, body, REQUEST_METHOD="GET")[0].startswith("405 ")
    assert post(heard, body, CONTENT_TYPE="text/plain")[0].startswith("415 ")
    assert post(heard, body, CONTENT_LENGTH="")[0].startswith("411 ")
    assert post(heard, body, CONTENT_LENGTH="-1")[0].startswith("411 ")
    assert post(heard, body, CONTENT_LENGTH=str(MAX_MESSAGE_BYTES + 1))[0].startswith("413 ")
    assert heard.firing() is None
    assert post(heard, body) == ("204 No Content", b"")
    assert names(heard) == ["QueueOld"]


def test_metrics_are_served_on_the_same_port() -> None:
    status, page = post(Alerts(), b"", PATH_INFO="/metrics", REQUEST_METHOD="GET")
    assert status.startswith("200 ")
    assert b"byline_of_the_test 7.0" in page
