"""No alert fires for a new, restarted or idle system. In an outage, an alert fires soon."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.promtool import needs_promtool
from tests.unit.alerting.system import SCRAPE_S, System, check_queries

pytestmark = needs_promtool

FIRED = 'max_over_time(ALERTS{alertstate="firing", severity!="none"}[3h])'
WOKEN = 'max(ALERTS{alertstate="firing", severity="critical"})'
#: Seconds from the start of an outage until a critical alert must fire.
LIMIT_S = 120
#: Requests per second by status: 400 in ten minutes, of which eight fail and some are invalid.
DAY_ONE = {200: 0.6, 422: 0.05, 504: 8 / 600}


def fresh() -> System:
    """A system that started a minute after Prometheus, and has had requests since."""
    system = System().run(60, asleep=True)
    system.gauges["byline_workers"] = 0.0
    system.run(20).gauges["byline_workers"] = 1.0
    return system.run(600, DAY_ONE)


def failed_first() -> System:
    """A system whose first eight requests failed before the first scrape."""
    system = System().run(5, {504: 1.6})
    return system.run(600, {200: 0.65})


def restarted() -> System:
    """A system that is restarted after ten minutes, and again soon after."""
    system = fresh()
    for _ in range(2):
        system.run(10, silent=("api", "worker", "monitor")).restart("api", "worker", "monitor")
        system.run(10, {503: 0.7}).run(300, DAY_ONE)
    return system


def scraped_with_gaps() -> System:
    """A system whose processes miss scrapes for a while. Then Prometheus itself does not run."""
    system = fresh()
    for job in ("api", "worker", "monitor"):
        system.run(40, DAY_ONE, silent=(job,)).run(60, DAY_ONE)
    return system.run(240, DAY_ONE, asleep=True).run(30, DAY_ONE)


def busy_worker_scraped_with_gaps() -> System:
    """A system whose worker computes for a minute, then misses scrapes, while tasks wait."""
    system = System().run(300, {200: 5.0})
    system.gauges['byline_queue_messages{state="ready"}'] = 3.0
    system.run(60).run(150, {200: 5.0}, silent=("worker",))
    return system.run(300, {200: 5.0})


def idle() -> System:
    """A system without any request."""
    return System().run(1200)


def idle_since() -> System:
    """A system that had requests, and then had no requests for ten minutes."""
    return fresh().run(600)


def other_messages_on_the_first_day() -> System:
    """A system with ten minutes of repeated messages, and then with new messages."""
    return System().run(600, {200: 1.0}, cached=0.9).run(2400, {200: 1.0})


SYSTEMS = (
    *(fresh, failed_first, restarted, scraped_with_gaps, busy_worker_scraped_with_gaps),
    *(idle, idle_since, other_messages_on_the_first_day),
)


@pytest.mark.parametrize("made", SYSTEMS, ids=lambda made: made.__name__)
def test_nothing_fires_before_an_outage(tmp_path: Path, made: type[System]) -> None:
    system = made()
    begin = system.seconds
    system.run(LIMIT_S, {500: 2.5, 503: 2.5})
    expected = {
        (FIRED, begin - SCRAPE_S): [],
        (WOKEN, begin + LIMIT_S - SCRAPE_S): [{"labels": "{}", "value": 1}],
    }
    check_queries(tmp_path, system, expected)


def test_missing_worker_is_reported_with_few_requests(tmp_path: Path) -> None:
    system = fresh()
    begin = system.seconds
    system.gauges["byline_workers"] = 0.0
    system.run(LIMIT_S, {503: 0.7}, silent=("worker",))
    expected = {
        (FIRED, begin - SCRAPE_S): [],
        (WOKEN, begin + LIMIT_S - SCRAPE_S): [{"labels": "{}", "value": 1}],
    }
    check_queries(tmp_path, system, expected)


def test_outage_amid_traffic_is_reported(tmp_path: Path) -> None:
    system = System().run(900, {200: 5.0})
    begin = system.seconds
    system.run(LIMIT_S, {500: 5.0})
    expected = {
        (FIRED, begin - SCRAPE_S): [],
        (WOKEN, begin + LIMIT_S - SCRAPE_S): [{"labels": "{}", "value": 1}],
    }
    check_queries(tmp_path, system, expected)
