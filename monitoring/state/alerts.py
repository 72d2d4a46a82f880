"""The alerts that Alertmanager tells the monitor of, for the console.

Alertmanager posts each to ``/alerts``, and again every minute for as long as it fires: what is not
said again is over, whether or not its end was heard of. The Watchdog, which always fires, shows
that alerts get through at all.
"""

from __future__ import annotations

import threading
import time

import msgspec
from redis import Redis

#: Seconds after which an alert is forgotten that was not said again: it should have been, thrice.
BELIEVED_S = 220.0
#: Seconds after the first word until which there may be more that fires, and was not said again.
SETTLED_S = 75.0
#: Seconds for which Redis keeps what the monitor said last. It says it at every look.
KEPT_S = 30
#: Alerts kept. More are no more help.
MOST = 100
#: Bytes of what Alertmanager may send at once.
LARGEST = 2**20
#: Characters of each of its texts.
LONGEST = 2000
WATCHDOG = "Watchdog"

_GRAVITY = {"critical": 0, "warning": 1}


class Alert(msgspec.Struct, frozen=True):
    """An alert that fires, as the console shows it."""

    name: str
    severity: str
    summary: str
    description: str
    #: RFC 3339, of UTC.
    since: str
    #: The page's path, below this repository.
    runbook: str


class Told(msgspec.Struct, frozen=True):
    """What is kept in Redis: the alerts, the worst first."""

    firing: list[Alert]


class _Sent(msgspec.Struct):
    """An alert as Alertmanager's webhook sends it, version 4; what is not used is left out."""

    status: str
    labels: dict[str, str]
    fingerprint: str
    startsAt: str  # noqa: N815, its name there
    annotations: dict[str, str] = {}


class _Message(msgspec.Struct):
    alerts: list[_Sent]


_decode = msgspec.json.Decoder(_Message).decode
_encode = msgspec.json.Encoder().encode


class Alerts:
    """The alerts heard of. One thread may hear while another shows them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        #: By fingerprint, which Alertmanager makes of the labels: when it was heard last, and what.
        self._heard: dict[str, tuple[float, Alert]] = {}
        #: When anything was heard first, and last.
        self._first: float | None = None
        self._last = 0.0

    def hear(self, body: bytes) -> None:
        """Take a message of Alertmanager.

        Raises:
            ValueError: it is none.
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
                fingerprint, alert = each.fingerprint[:LONGEST], _alert(each)
                self._heard.pop(fingerprint, None)
                if each.status == "firing" and alert.name != WATCHDOG:
                    self._heard[fingerprint] = (now, alert)
            while len(self._heard) > MOST:
                del self._heard[max(self._heard, key=lambda key: _order(self._heard[key][1]))]

    def told(self) -> Told | None:
        """Return what fires; None where nothing is heard, not even the Watchdog, or not yet."""
        now = time.monotonic()
        with self._lock:
            since = now - BELIEVED_S
            self._heard = {key: kept for key, kept in self._heard.items() if kept[0] >= since}
            firing = sorted((alert for _, alert in self._heard.values()), key=_order)
            if self._first is not None and self._last < since:
                self._first = None  # Alertmanager is gone
            settled = self._first is not None and now >= self._first + SETTLED_S
        return Told(firing) if firing or settled else None


def key(machine: str) -> str:
    """Return under which key the alerts that a machine's monitor heard of are kept."""
    return f"byline:alerts:{machine}"


def keep(client: Redis, machine: str, told: Told | None) -> None:
    """Show what fires to those who read Redis. Raises ``RedisError``."""
    if told is not None:
        client.set(key(machine), _encode(told), ex=KEPT_S)


def _order(alert: Alert) -> tuple[int, str, str]:
    """The worst first; of those alike, the oldest."""
    return _GRAVITY.get(alert.severity, 2), alert.since, alert.name


def _alert(sent: _Sent) -> Alert:
    said = sent.labels | sent.annotations
    names = ("alertname", "severity", "summary", "description", "startsAt", "runbook_url")
    return Alert(*((said | {"startsAt": sent.startsAt}).get(name, "")[:LONGEST] for name in names))
