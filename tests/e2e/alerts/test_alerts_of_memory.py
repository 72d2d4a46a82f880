"""Provokes the alerts on memory, with a low limit, until they arrive."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.e2e.alerts.alarmed import Alarmed, each, needs_alertmanager
from tests.e2e.watched import hoard, used
from tests.parts import wait_for

pytestmark = [needs_alertmanager, each]
#: Byline's memory limit in MB, and the shares of the limit at which the alerts fire.
ALL, WARNING, CRITICAL = 2048, 0.7, 0.85


def test_high_memory_of_all_parts_and_of_one_raises_alerts(tmp_path: Path) -> None:
    alarmed = Alarmed(
        tmp_path, BYLINE_MODEL="tests.e2e.watched:Hoarder", BYLINE_MEMORY_GB=str(ALL // 1024)
    )
    try:
        alarmed.start()
        base = used(alarmed.run)
        begin = time.monotonic()
        hoard(alarmed.run, round(WARNING * ALL + 60 - base))
        for alert in ("MemoryHigh", "MemoryOfComponentHigh"):
            alarmed.told(begin, alert, "warning")
        begin = time.monotonic()
        hoard(alarmed.run, round(CRITICAL * ALL + 60 - base))
        for alert in ("MemoryHigh", "MemoryOfComponentHigh"):
            alarmed.told(begin, alert, "critical")
        # The remedy of the runbook.
        again = time.monotonic()
        os.kill(alarmed.run.pids["worker"], signal.SIGTERM)
        wait_for(lambda: used(alarmed.run) < WARNING * ALL, 30, "room")
        for alert in ("MemoryHigh", "MemoryOfComponentHigh"):
            alarmed.over(again, alert, "critical")
        alarmed.calm()
    finally:
        alarmed.close()
