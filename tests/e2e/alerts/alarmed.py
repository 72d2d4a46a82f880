"""Runs Byline with Prometheus and Alertmanager at short intervals, and receives the alerts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from compose.parts.alertmanager import CONFIGURATION, FOLDER, configured
from tests.e2e.alerts.hurried import hurried
from tests.e2e.alerts.receivers import BEAT, KEY, PASSWORD, Receivers, Said
from tests.e2e.alerts.wording import TWOFOLD, check_title, line
from tests.e2e.conftest import Run
from tests.parts import wait_for
from tests.promql import RULES

NEEDED = ("prometheus", "prometheus-redis-exporter", "prometheus-alertmanager")
needs_alertmanager = pytest.mark.skipif(
    not all(map(shutil.which, NEEDED)) and os.environ.get("CI") != "true",
    reason=f"not installed: {', '.join(name for name in NEEDED if not shutil.which(name))}",
)
#: Marks tests that take minutes.
each = pytest.mark.skipif(os.environ.get("ALERTS") != "all", reason="minutes: make alerts")
#: Longest time from a cause to its alert, and from the cause's end to the alert's, in seconds.
LIMIT_S = 120.0
#: Seconds within which all alerts must end. Rules with the longest windows end last.
CALM_S = 240.0
#: The channels of an alert, by its severity and team.
CHANNELS = {
    ("critical", "service"): {"pagerduty", "slack"},
    ("warning", "service"): {"slack"},
    ("warning", "quality"): {"mail", "slack"},
}
#: Largest number of requests in flight.
THREADS = 32


class Alarmed:
    """A run of Byline, its alerts, and their receivers."""

    def __init__(self, folder: Path, hurried: bool = True, **settings: str) -> None:
        """``hurried``: whether intervals are short, so that alerts begin and end soon."""
        self.receivers = Receivers()
        self._hurried = hurried
        self._folder = folder
        self.run = Run(folder, watched=True, **settings)
        self.state = folder / "state"

    def start(self) -> Alarmed:
        self.run.wait_until_up()
        if self._hurried:
            self._hurry_prometheus()
        self._connect()
        wait_for(lambda: self.receivers.beats, LIMIT_S, "the heartbeat")
        self.calm()
        return self

    def restart(self) -> Alarmed:
        """Stops Byline as Ctrl-C does, and starts it again with the same ports and state."""
        self.run.interrupt()
        self.run.start()
        return self.start()

    def close(self) -> None:
        for pid in self.run.pids.values():
            _wake(pid)
        self.run.close()
        self.receivers.close()

    def told(self, begin: float, alert: str, severity: str, team: str = "service") -> None:
        """Waits until an alert arrives on its channels. Its cause began at ``begin``."""
        channels = CHANNELS[severity, team]
        for channel in sorted(channels):
            said = self._arrival(begin, f"{alert} by {channel}", channel, alert, severity=severity)
            check_title(said)
        may = channels | ({"pagerduty"} if alert in TWOFOLD else set())
        told = {s.channel for s in self.receivers.said if s.at >= begin and alert in s.firing}
        assert told <= may, (alert, told)

    def over(
        self,
        begin: float,
        alert: str,
        severity: str,
        team: str = "service",
        earliest: float | None = None,
    ) -> None:
        """Waits until the end of an alert arrives. Its cause ended at ``begin``.

        With ``earliest``, the cause ended between ``earliest`` and ``begin``.
        """
        for channel in sorted(CHANNELS[severity, team]):
            what = f"the end of {alert} by {channel}"
            self._arrival(begin, what, channel, ended=alert, earliest=earliest)

    def calm(self) -> None:
        """Waits until no alert fires except the Watchdog."""
        try:
            wait_for(lambda: self.firing() == {"Watchdog"}, CALM_S, "calm")
        except AssertionError as error:
            raise AssertionError(f"{error}; firing: {self.firing()}") from None
        assert self.receivers.refused == []

    def firing(self) -> set[str]:
        """Returns the names of the alerts that fire, silenced or not, from Alertmanager."""
        return {alert["labels"]["alertname"] for alert in self.shown()}

    def shown(self) -> list[Any]:
        """Returns the alerts that fire, with all their fields, from Alertmanager."""
        url = f"{self.run.login_url('alertmanager')}/api/v2/alerts"
        return list(httpx.get(url, timeout=10).json())

    def silenced(self, by: str) -> set[str]:
        """Returns the alerts that fire, but are not sent because the alert ``by`` fires."""
        shown = self.shown()
        prints = {alert["fingerprint"] for alert in shown if alert["labels"]["alertname"] == by}
        return {
            alert["labels"]["alertname"]
            for alert in shown
            if prints & set(alert["status"]["inhibitedBy"])
        }

    def ask(self, expression: str) -> list[Any]:
        """Returns the present result of a Prometheus query."""
        url = f"{self.run.login_url('prometheus')}/api/v1/query"
        return list(
            httpx.get(url, params={"query": expression}, timeout=10).json()["data"]["result"]
        )

    @contextmanager
    def frozen(self, *parts: str) -> Iterator[None]:
        """Stops parts with SIGSTOP, and lets them go on at the end."""
        pids = [self.pid(part) for part in parts]
        for pid in pids:
            os.killpg(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                _wake(pid)

    def pid(self, part: str) -> int:
        """Returns the id of a part's present process."""
        return (self.run.revived(part) or [self.run.pids[part]])[-1]

    @contextmanager
    def targets(self, change: Callable[[dict[str, list[str]]], None]) -> Iterator[None]:
        """Changes what Prometheus scrapes, for a while. ``change`` gets the targets by job."""
        file = self.state / "prometheus" / "targets" / "byline.json"
        kept = file.read_text()
        targets = {group["labels"]["job"]: group["targets"] for group in json.loads(kept)}
        change(targets)
        groups = [{"targets": t, "labels": {"job": job}} for job, t in targets.items()]
        _write(file, json.dumps(groups))
        try:
            yield
        finally:
            _write(file, kept)

    def _arrival(
        self,
        begin: float,
        what: str,
        channel: str,
        firing: str = "",
        ended: str = "",
        severity: str = "",
        earliest: float | None = None,
    ) -> Said:
        since = begin if earliest is None else earliest
        text = line(firing, severity, channel) if firing else ""

        def arrived() -> Said | None:
            return self.receivers.find(channel, since, firing, ended, text)

        try:
            said = wait_for(arrived, LIMIT_S - (time.monotonic() - begin), what)
        except AssertionError as error:
            raise AssertionError(f"{error}; firing: {self.firing()}") from None
        print(f"{said.at - begin:6.1f} s  {what}", flush=True)
        return said

    def _hurry_prometheus(self) -> None:
        folder = self.state / "prometheus"
        for path in RULES.glob("*.yml"):
            _write(folder / "rules" / path.name, hurried(path.read_text("utf-8")))
        configuration = yaml.safe_load((folder / "prometheus.yml").read_text("utf-8"))
        # A scrape of celery-exporter takes two seconds.
        configuration["global"] = {
            "scrape_interval": "3s",
            "scrape_timeout": "3s",
            "evaluation_interval": "1s",
        }
        _write(folder / "prometheus.yml", yaml.safe_dump(configuration))
        os.kill(self.run.pids["prometheus"], signal.SIGHUP)
        url = f"{self.run.login_url('prometheus')}/api/v1/status/config"
        wait_for(lambda: "evaluation_interval: 1s" in httpx.get(url).json()["data"]["yaml"])

    def _connect(self) -> None:
        """Gives Alertmanager its secrets, as a user would, and the URLs of the receivers."""
        folder = self._folder / "alertmanager"
        shutil.copytree(FOLDER, folder, dirs_exist_ok=True)
        secrets = {
            "slack-url": f"{self.receivers.url}/slack",
            "smtp-password": PASSWORD,
            "pagerduty-key": KEY,
            "heartbeat-key": BEAT,
        }
        for name, secret in secrets.items():
            (folder / "secrets" / name).write_text(secret)
        given = yaml.safe_load(CONFIGURATION.read_text("utf-8"))
        monitor = f"http://127.0.0.1:{self.run.ports['monitor']}"
        configuration = configured(given, folder, monitor)
        configuration["global"] |= {
            "smtp_smarthost": self.receivers.smtp,
            "smtp_require_tls": False,
            "pagerduty_url": f"{self.receivers.url}/v2/enqueue",
        }
        [beat] = (r for r in configuration["receivers"] if r["name"] == "heartbeat")
        beat["webhook_configs"][0]["url"] = f"{self.receivers.url}/beat"
        if self._hurried:
            for route in (configuration["route"], *configuration["route"]["routes"]):
                route |= {"group_wait": "1s", "group_interval": "1s"}
        _write(self.state / "alertmanager" / CONFIGURATION.name, yaml.safe_dump(configuration))
        os.kill(self.run.pids["alertmanager"], signal.SIGHUP)


class Traffic:
    """Sends messages at an even rate, with the texts of ``text``, and counts the statuses."""

    def __init__(self, run: Run, rate: float) -> None:
        self.text: Callable[[int], str] = "a message, number {}".format
        self.statuses: Counter[int] = Counter()
        self.answers: list[dict[str, Any]] = []
        self._run = run
        self._rate = rate
        self._stop = threading.Event()
        self._free = threading.Semaphore(THREADS)
        self._thread = threading.Thread(target=self._send)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _send(self) -> None:
        with (
            httpx.Client(base_url=self._run.api, timeout=40) as client,
            ThreadPoolExecutor(THREADS) as pool,
        ):
            number = 0
            while not self._stop.wait(1 / self._rate):
                number += 1
                if self._free.acquire(blocking=False):  # else too many requests are in flight
                    pool.submit(self._ask, client, self.text(number))

    def _ask(self, client: httpx.Client, text: str) -> None:
        try:
            response = client.post("/v1/attributions", json={"text": text})
            self.statuses[response.status_code] += 1
            if response.status_code == 200:
                self.answers.append(response.json())
        except httpx.TransportError:
            self.statuses[0] += 1
        finally:
            self._free.release()


def _wake(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGCONT)
    except ProcessLookupError:
        return


def _write(path: Path, text: str) -> None:
    """Writes a file in one step, so that no reader sees a half-written file."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.replace(path)
