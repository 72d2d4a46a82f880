"""The effects of the memory thresholds, and the end of these effects, in a running Byline."""

from __future__ import annotations

import re

import httpx
import pytest
from redis import Redis

from tests.e2e.conftest import Run
from tests.e2e.watched import MB, hoard, monitored, used
from tests.parts import wait_for

#: Byline's memory limit, in MB.
ALL = 1024
#: Seconds within which all parts must know a change of level.
SOON_S = 20


@pytest.fixture
def run(runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> Run:
    hoarder = {"BYLINE_MODEL": "tests.e2e.watched:Hoarder", "BYLINE_MEMORY_GB": "1"}
    run = Run(tmp_path_factory.mktemp("memory"), **hoarder)
    runs.append(run)
    return run.wait_until_up()


def level(run: Run) -> float:
    return monitored(run)["byline_memory_level",]


def ask(run: Run, text: str) -> httpx.Response:
    return httpx.post(f"{run.api}/v1/attributions", json={"text": text}, timeout=20)


def test_short_memory_shrinks_caches_then_refuses_messages_until_memory_is_free(run: Run) -> None:
    redis = Redis(port=run.ports["redis"])
    known = ask(run, "aeiou, asked before memory is short").json()
    assert level(run) == 0
    limits = [monitored(run)["byline_memory_limit_bytes", name] for name in ("warning", "critical")]
    assert limits == [round(0.7 * ALL * MB), round(0.85 * ALL * MB)]

    def allowed() -> int:
        return int(redis.config_get("maxmemory")["maxmemory"])

    full = allowed()
    base = used(run)
    hoard(run, int(0.775 * ALL - base))
    wait_for(lambda: level(run) == 1, SOON_S, "the warning")
    wait_for(lambda: allowed() == full // 2, SOON_S, "the cache to shrink")
    assert ask(run, "aeiou, at the warning").status_code == 200

    hoard(run, int(0.95 * ALL - base))
    wait_for(lambda: level(run) == 2, SOON_S, "the critical level")
    wait_for(lambda: ask(run, f"aeiou {used(run)}").status_code == 503, SOON_S, "a refusal")
    refused = ask(run, "aeiou, at the critical level")
    assert refused.json()["code"] == "overloaded"
    assert "memory" in refused.json()["detail"]
    assert int(refused.headers["Retry-After"]) >= 1
    again = ask(run, "aeiou, asked before memory is short")
    assert (again.status_code, again.json()["id"]) == (200, known["id"])

    hoard(run, 0)
    wait_for(lambda: level(run) == 0, SOON_S, "memory")
    wait_for(lambda: ask(run, f"aeiou {used(run)}").status_code == 200, SOON_S, "an answer")
    wait_for(lambda: allowed() == full, SOON_S, "the cache to grow again")
    redis.close()


def test_a_worker_past_its_own_limit_finishes_its_batch_and_is_replaced(
    runs: list[Run], tmp_path_factory: pytest.TempPathFactory
) -> None:
    limit = {"BYLINE_MODEL": "tests.e2e.watched:Hoarder", "BYLINE_WORKER_MEMORY_GB": "0.6"}
    run = Run(tmp_path_factory.mktemp("worker"), **limit)
    runs.append(run)
    run.wait_until_up()
    # The worker still answers the batch with which it exceeds its limit.
    assert ask(run, "HOARD 600").status_code == 200
    wait_for(lambda: bool(run.revived("worker")), 30, "another worker")
    assert re.search(r"worker ended: exit status 75", run.output)
    log = (run.folder / "state" / "logs" / "worker.log").read_text()
    assert "BYLINE_WORKER_MEMORY_GB allows 614" in log
    assert run.serves("aeiou, of the one that took its place")
