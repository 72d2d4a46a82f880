"""Keeps the alerts that Alertmanager sends to the monitor, so that the console can show them.

Alertmanager posts to ``/alerts``, and repeats each firing alert every minute. An alert that is not
repeated counts as ended.
"""

from __future__ import annotations

import threading
import time

import msgspec
from redis import Redis

#: Seconds after which an alert that was not repeated is forgotten. Within this time, Alertmanager
#: should have repeated the alert three times.
FORGET_AFTER_S = 220.0
#: Seconds after Alertmanager's first message until all firing alerts have been repeated.
SETTLED_AFTER_S = 75.0
#: Seconds for which Redis keeps the list of alerts. The monitor writes the list every two seconds.
KEPT_S = 30
#: Maximum number of alerts that are kept. A longer list would help nobody.
MAX_ALERTS = 100
#: Maximum number of bytes that one message of Alertmanager may have.
MAX_MESSAGE_BYTES = 2**20
#: Maximum number of characters that are kept of each text of an alert.
MAX_TEXT_LENGTH = 2000
#: Name of the alert that always fires, which shows that Alertmanager can reach the monitor. The
#: console does not show this alert.
WATCHDOG = "Watchdog"

#: Order in which alerts are shown; an unknown severity comes last.
_SEVERITY_ORDER = {"critical": 0, "warning": 1}


class Alert(msgspec.Struct, frozen=True):
    """A firing alert, as the console shows it."""

    name: str
    severity: str
    summary: str
    description: str
    #: When the alert began: RFC 3339, in UTC.
    since: str
    #: Path of the runbook in this repository.
    runbook: str


class FiringAlerts(msgspec.Struct, frozen=True):
    """The list of firing alerts that Redis keeps, the most severe alert first."""

    firing: list[Alert]


class _SentAlert(msgspec.Struct):
    """The fields that Byline reads of an alert in Alertmanager's webhook message, version 4."""

    status: str
    labels: dict[str, str]
    fingerprint: str
    startsAt: str  # noqa: N815, Alertmanager's name
    annotations: dict[str, str] = {}


class _WebhookMessage(msgspec.Struct):
    alerts: list[_SentAlert]


_decode = msgspec.json.Decoder(_WebhookMessage).decode
_encode = msgspec.json.Encoder().encode


class Alerts:
    """The alerts that Alertmanager has sent. Threads may receive and read at the same time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: Each firing alert, and the time of its last receipt, by Alertmanager's fingerprint of the
        #: alert's labels.
        self._received: dict[str, tuple[float, Alert]] = {}
        #: Monotonic times of Alertmanager's first and last message, in seconds.
        self._first: float | None = None
        self._last = 0.0

    def receive(self, body: bytes) -> None:
        """Records the alerts in ``body``, which is a message of Alertmanager's webhook.

        Raises:
            ValueError: ``body`` is not a message of the webhook.
        """
        try:
            sent = _decode(body).alerts
        except msgspec.MsgspecError as error:
            raise ValueError(str(error)) from None
        now = time.monotonic()
        with self._lock:
            self._first = now if self._first is None else self._first
            self._last = now
            for each in sent:
                fingerprint, alert = each.fingerprint[:MAX_TEXT_LENGTH], _alert(each)
                self._received.pop(fingerprint, None)
                if each.status == "firing" and alert.name != WATCHDOG:
                    self._received[fingerprint] = (now, alert)
            while len(self._received) > MAX_ALERTS:
                received = self._received
                del received[max(received, key=lambda key: _order(received[key][1]))]

    def firing(self) -> FiringAlerts | None:
        """Returns the firing alerts without the Watchdog, which always fires; None if unknown.

        If no alert has arrived, the result is None at first. It is an empty list once
        :data:`SETTLED_AFTER_S` seconds have passed since Alertmanager's first message. It is None
        again after :data:`FORGET_AFTER_S` seconds without a message.
        """
        now = time.monotonic()
        with self._lock:
            oldest = now - FORGET_AFTER_S
            self._received = {
                key: kept for key, kept in self._received.items() if kept[0] >= oldest
            }
            firing = sorted((alert for _, alert in self._received.values()), key=_order)
            if self._first is not None and self._last < oldest:
                self._first = None  # Alertmanager has stopped
            settled = self._first is not None and now >= self._first + SETTLED_AFTER_S
        return FiringAlerts(firing) if firing or settled else None


def key(machine: str) -> str:
    """Returns the Redis key of the alerts that a machine's monitor has received."""
    return f"byline:alerts:{machine}"


def store(client: Redis, machine: str, alerts: FiringAlerts | None) -> None:
    """Writes ``alerts`` to Redis, where the api reads them.

    Does nothing if ``alerts`` is None. Raises ``RedisError``.
    """
    if alerts is not None:
        client.set(key(machine), _encode(alerts), ex=KEPT_S)


def _order(alert: Alert) -> tuple[int, str, str]:
    """Returns a sort key for alerts: the most severe alert comes first, then the oldest."""
    return _SEVERITY_ORDER.get(alert.severity, 2), alert.since, alert.name


def _alert(sent: _SentAlert) -> Alert:
    fields = sent.labels | sent.annotations | {"startsAt": sent.startsAt}
    names = ("alertname", "severity", "summary", "description", "startsAt", "runbook_url")
    return Alert(*(fields.get(name, "")[:MAX_TEXT_LENGTH] for name in names))
