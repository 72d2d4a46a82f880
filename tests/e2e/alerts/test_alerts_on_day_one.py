"""In the first minutes of a new system, no alert fires until there is an outage.

Prometheus and Alertmanager have the intervals and windows that a user's run has.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.alerts.alarmed import LIMIT_S, Alarmed, each, needs_alertmanager
from tests.e2e.watched import held_out
from tests.parts import wait_for

pytestmark = [needs_alertmanager, each]
#: Number of requests before the restart, and again after it; requests a second.
REQUESTS, RATE = 210, 0.7
FIRED = 'max by (alertname) (max_over_time(ALERTS{alertstate="firing"}[1h]))'


@pytest.fixture
def alarmed(tmp_path: Path) -> Iterator[Alarmed]:
    alarmed = Alarmed(tmp_path, hurried=False, BYLINE_MODEL="")
    try:
        yield alarmed.start()
    finally:
        alarmed.close()


def odd(number: int, text: str) -> tuple[int, dict[str, Any]]:
    """Returns the expected status and the body of a request by a user who tries Byline out."""
    if number % 50 == 3:
        return 504, {"text": text, "deadline_ms": 1}
    if number % 20 == 7:
        return 422, {"text": ""}
    if number % 20 == 9:
        return 200, {"text": text, "deadline_ms": 10_000}
    if number % 40 == 5:
        return 200, {"messages": [{"text": text}, {"text": text.upper()}]}
    return 200, {"text": text}


def try_out(alarmed: Alarmed, texts: list[str]) -> Counter[int]:
    """Sends messages at an even rate. Returns the number of answers for each status."""
    statuses: Counter[int] = Counter()
    begin = time.monotonic()
    with httpx.Client(base_url=alarmed.run.api, timeout=40) as client:
        for number, text in enumerate(texts):
            time.sleep(max(0.0, begin + number / RATE - time.monotonic()))  # the rate
            expected, body = odd(number, text)
            status = client.post("/v1/attributions", json=body).status_code
            assert status == expected, body
            statuses[status] += 1
            assert alarmed.firing() <= {"Watchdog"}, alarmed.shown()
    return statuses


def fired(alarmed: Alarmed) -> set[str]:
    """Returns each alert that has fired since the start, even for a short time."""
    return {found["metric"]["alertname"] for found in alarmed.ask(FIRED)}


def test_a_new_system_is_quiet_until_there_is_an_outage(alarmed: Alarmed) -> None:
    texts = [message.text for message in held_out()[: 2 * REQUESTS]]
    print(try_out(alarmed, texts[:REQUESTS]))
    alarmed.restart()
    print(try_out(alarmed, texts[REQUESTS:]))
    assert fired(alarmed) == {"Watchdog"}
    assert alarmed.receivers.said == []

    begin = time.monotonic()
    with alarmed.frozen("worker"):
        told = wait_for(lambda: alarmed.firing() - {"Watchdog"}, LIMIT_S, "an alert")
        print(f"{time.monotonic() - begin:6.1f} s  {told}")
        alarmed.told(begin, "NoWorker", "critical")
