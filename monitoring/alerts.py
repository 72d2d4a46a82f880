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

#: Seconds after which an alert is forgotten that was not said again, which it should be thrice.
BELIEVED_S = 200.0
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
            for each in sent:
                self._heard.pop(each.fingerprint, None)
                if each.status == "firing" and len(self._heard) < MOST:
                    self._heard[each.fingerprint] = (now, _alert(each))

    def told(self) -> Told | None:
        """Return what fires; None where nothing is heard, not even the Watchdog."""
        since = time.monotonic() - BELIEVED_S
        with self._lock:
            self._heard = {key: kept for key, kept in self._heard.items() if kept[0] >= since}
            heard = [alert for _, alert in self._heard.values()]
        if not heard:
            return None
        firing = [alert for alert in heard if alert.name != WATCHDOG]
        return Told(sorted(firing, key=lambda a: (_GRAVITY.get(a.severity, 2), a.since, a.name)))


def key(machine: str) -> str:
    """Return under which key the alerts that a machine's monitor heard of are kept."""
    return f"byline:alerts:{machine}"


def keep(client: Redis, machine: str, told: Told | None) -> None:
    """Show what fires to those who read Redis. Raises ``RedisError``."""
    if told is not None:
        client.set(key(machine), _encode(told), ex=KEPT_S)


def _alert(sent: _Sent) -> Alert:
    said = sent.labels | sent.annotations
    names = ("alertname", "severity", "summary", "description", "startsAt", "runbook_url")
    return Alert(*((said | {"startsAt": sent.startsAt}).get(name, "")[:LONGEST] for name in names))
