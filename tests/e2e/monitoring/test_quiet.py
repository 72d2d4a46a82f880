"""During half an hour of healthy load, with a deploy in the middle, no alert fires."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.alerts.alarmed import Alarmed, needs_alertmanager
from tests.parts import Part, wait_for

#: Seconds of load. `make quiet` sets 1800.
QUIET_S = float(os.environ.get("QUIET_S", "0"))
WORKERS = ("worker-1", "worker-2")

pytestmark = [
    needs_alertmanager,
    pytest.mark.skipif(not QUIET_S, reason="half an hour: make quiet"),
]


def test_no_alert_fires_except_the_watchdog(tmp_path: Path) -> None:
    several = {"BYLINE_WORKERS": str(len(WORKERS)), "BYLINE_API_PROCESSES": "2"}
    alarmed = Alarmed(tmp_path, hurried=False, BYLINE_MODEL="", **several)
    load = None
    try:
        alarmed.start()
        options = ["--url", alarmed.run.api, "--seconds", f"{QUIET_S:g}", "--out", str(tmp_path)]
        load = Part([sys.executable, "-m", "bench", "healthy", *options], tmp_path / "load", {})
        begin = time.monotonic()
        deployed = False
        while load.alive:
            assert alarmed.firing() <= {"Watchdog"}, alarmed.shown()
            if not deployed and time.monotonic() > begin + QUIET_S / 2:
                deploy(alarmed)
                deployed = True
            time.sleep(1)  # between two checks, for as long as the load lasts
        print(load.output)
        assert load.process.returncode == 0, load.output
        fired = alarmed.ask(
            f'max by (alertname) (max_over_time(ALERTS{{alertstate="firing"}}[{QUIET_S:.0f}s]))'
        )
        assert {found["metric"]["alertname"] for found in fired} == {"Watchdog"}
        assert alarmed.receivers.said == []
        assert alarmed.receivers.refused == []
        assert alarmed.receivers.beats >= QUIET_S // 60 - 1
        assert deployed
    finally:
        if load is not None:
            load.kill()
        alarmed.close()


def deploy(alarmed: Alarmed) -> None:
    """Replaces the api's processes, each worker, and the monitor, as for an upgrade."""
    os.kill(alarmed.pid("api"), signal.SIGHUP)
    for part in (*WORKERS, "monitor"):
        before = alarmed.pid(part)
        os.kill(before, signal.SIGTERM)
        wait_for(lambda: alarmed.pid(part) != before, 30, f"another {part}")  # noqa: B023
        wait_for(lambda: _workers(alarmed) == len(WORKERS), 60, "all workers")


def _workers(alarmed: Alarmed) -> float:
    """Returns the number of workers that the api knows of."""
    return float(alarmed.run.model["workers"])
