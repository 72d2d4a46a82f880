"""Simulates a system as Prometheus scrapes it, and lets promtool evaluate the rules on it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.promql import RULES
from tests.promtool import content

#: Seconds between two scrapes, as in prometheus.yml.
SCRAPE_S = 5
#: Seconds between two evaluations of the rules: 5 in prometheus.yml, but promtool is three times as
#: fast with 15.
EVALUATION_S = 15
#: The value of a series that a scrape no longer has. If there was no scrape, the value is None.
STALE = math.nan
#: Rule files, in the order in which they depend on each other.
FILES = ("thresholds", "recording", "windows", "service", "memory", "quality")
#: The monitor's gauges for a healthy system.
GAUGES = {
    'byline_server_up{server="broker"}': 1.0,
    'byline_server_up{server="cache"}': 1.0,
    "byline_workers": 1.0,
    'byline_queue_messages{state="ready"}': 0.0,
    'byline_queue_messages{state="unacked"}': 0.0,
    "byline_queue_oldest_seconds": 0.0,
    "byline_queue_bytes": 0.0,
    "byline_queue_room_bytes": 16e6,
    "byline_dead_letters": 0.0,
    'byline_memory_bytes{component="app"}': 500.0,
    'byline_memory_bytes{component="redis"}': 60.0,
    'byline_memory_limit_bytes{level="warning"}': 823.0,
    'byline_memory_limit_bytes{level="critical"}': 1000.0,
    "byline_memory_level": 0.0,
}
_ROUTE = 'route="/v1/attributions"'
#: The counters of each job.
COUNTERS = {
    "api": [
        *(f'byline_requests_total{{{_ROUTE}, status="{s}"}}' for s in (200, 422, 500, 503, 504)),
        *(
            f'byline_request_duration_seconds_bucket{{{_ROUTE}, le="{le}"}}'
            for le in (0.055, "+Inf")
        ),
        *(f'byline_messages_total{{outcome="{name}"}}' for name in ("cached", "joined", "shed")),
        *(f'byline_feedback_total{{correct="{correct}"}}' for correct in ("true", "false")),
        'byline_feedback_corrections_total{before="false", now="true"}',
        'byline_requests_total{route="/v1/feedback", status="409"}',
    ],
    "worker": [
        'byline_messages_total{outcome="computed"}',
        'byline_batches_total{reason="drained"}',
        "byline_redelivered_tasks_total",
    ],
}
JOBS = ("api", "worker", "monitor", "celery", "flower", "redis", "prometheus")


@dataclass
class System:
    """A simulated system and its scrapes. The first :meth:`run` makes the first scrape."""

    #: Values of each series, one for each scrape: a number, :data:`STALE`, or None.
    series: dict[str, list[float | None]] = field(default_factory=dict)
    gauges: dict[str, float] = field(default_factory=lambda: dict(GAUGES))
    scrapes: int = 0
    _counted: dict[str, float] = field(default_factory=dict)
    _started: dict[str, float] = field(default_factory=lambda: dict.fromkeys(JOBS, 1.0))

    @property
    def seconds(self) -> int:
        """Returns the age of the system in seconds."""
        return self.scrapes * SCRAPE_S

    def run(
        self,
        seconds: int,
        requests: dict[int, float] | None = None,
        cached: float = 0.0,
        silent: tuple[str, ...] = (),
        asleep: bool = False,
    ) -> System:
        """Lets the system run for ``seconds`` seconds.

        ``requests`` is the number of requests per second by status, and ``cached`` is the share of
        requests that the cache answers. Scrapes of the jobs in ``silent`` fail. If ``asleep`` is
        true, Prometheus makes no scrapes.
        """
        for _ in range(seconds // SCRAPE_S):
            self._count(requests or {}, cached)
            self._scrape(silent, asleep)
        return self

    def restart(self, *jobs: str) -> System:
        """Restarts processes, so that their counters begin at 0."""
        for job in jobs:
            self._started[job] += 1.0
            for name in COUNTERS.get(job, ()):
                self._counted[name] = 0.0
        return self

    def _count(self, requests: dict[int, float], cached: float) -> None:
        answered = requests.get(200, 0.0)
        grown = {
            **{f'byline_requests_total{{{_ROUTE}, status="{s}"}}': n for s, n in requests.items()},
            **dict.fromkeys(COUNTERS["api"][5:7], sum(requests.values())),
            'byline_messages_total{outcome="cached"}': answered * cached,
            'byline_messages_total{outcome="computed"}': answered * (1 - cached),
            'byline_batches_total{reason="drained"}': answered * (1 - cached),
        }
        for name, rate in grown.items():
            self._counted[name] = self._counted.get(name, 0.0) + rate * SCRAPE_S

    def _scrape(self, silent: tuple[str, ...], asleep: bool) -> None:
        found: dict[str, float] = {}
        for job in () if asleep else JOBS:
            up = job not in silent
            found[f'up{{job="{job}", instance="{job}"}}'] = float(up)
            told = {name: self._counted.get(name, 0.0) for name in COUNTERS.get(job, ())}
            told["process_start_time_seconds"] = self._started[job]
            told |= self.gauges if job == "monitor" else {}
            found |= {_of(name, job): value for name, value in told.items() if up}
        for name in found.keys() - self.series.keys():
            self.series[name] = [None] * self.scrapes
        for name, values in self.series.items():
            values.append(found.get(name, None if asleep else STALE))
        self.scrapes += 1


def check_queries(folder: Path, system: System, expected: dict[tuple[str, int], list[Any]]) -> None:
    """Lets promtool check the results of queries. ``expected`` has them by query and second."""
    paths = [RULES / f"{name}.yml" for name in FILES]
    groups = [g["name"] for path in paths for g in yaml.safe_load(path.read_text())["groups"]]
    queries = [
        {"expr": expr, "eval_time": f"{second}s", "exp_samples": samples}
        for (expr, second), samples in expected.items()
    ]
    test = {
        "interval": f"{SCRAPE_S}s",
        "input_series": [
            {"series": name, "values": " ".join(map(_written, values))}
            for name, values in system.series.items()
        ],
        "promql_expr_test": queries,
    }
    whole = {
        "rule_files": [str(path) for path in paths],
        "evaluation_interval": f"{EVALUATION_S}s",
        "group_eval_order": groups,
        "tests": [test],
    }
    (folder / "system.yml").write_text(json.dumps(whole))
    content("promtool", "test", "rules", folder / "system.yml")


def _written(value: float | None) -> str:
    if value is None:
        return "_"
    return "stale" if value is STALE else f"{value:.10g}"


def _of(name: str, job: str) -> str:
    """Returns the series ``name`` with the labels that Prometheus adds for ``job``."""
    labels = f'job="{job}", instance="{job}"'
    return name.replace("{", f"{{{labels}, ") if "{" in name else f"{name}{{{labels}}}"
