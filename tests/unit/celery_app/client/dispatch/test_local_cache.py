"""``LocalCache``, the cache in the process, limits the number and the age of its entries."""

from __future__ import annotations

from celery_app.client.dispatch.local_cache import REMEMBERED_S, LocalCache
from model.types import Evidence
from tasks.messages import Attribution


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def attribution(id: str) -> Attribution:
    return Attribution(id, "a", 0.9, (), "v1")


def test_an_attribution_is_found_marked_as_cached() -> None:
    local_cache = LocalCache(2)
    local_cache.put(given := attribution("1"))
    known = local_cache.get("1")
    assert known is not None
    assert (known.author, known.cached, given.cached) == ("a", True, False)
    assert local_cache.get("2") is None


def test_the_least_recently_used_attribution_is_dropped_first() -> None:
    local_cache = LocalCache(2)
    for id in ("1", "2"):
        local_cache.put(attribution(id))
    local_cache.get("1")
    local_cache.put(attribution("3"))
    assert [local_cache.get(id) is not None for id in ("1", "2", "3")] == [True, False, True]


def test_an_attribution_is_dropped_after_its_time() -> None:
    local_cache = LocalCache(2, clock := Clock())
    local_cache.put(attribution("1"))
    clock.time = REMEMBERED_S
    assert local_cache.get("1")
    clock.time += 0.1
    assert local_cache.get("1") is None


def test_an_attribution_with_evidence_is_not_kept() -> None:
    local_cache = LocalCache(2)
    explained = attribution("1")
    explained.evidence = Evidence("a", 1.0, 0.0, (), 0.0)
    local_cache.put(explained)
    assert local_cache.get("1") is None


def test_a_cache_of_size_zero_keeps_nothing() -> None:
    local_cache = LocalCache(0)
    local_cache.put(attribution("1"))
    assert local_cache.get("1") is None
