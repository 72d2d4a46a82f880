"""The nearest cache: bounded in number and in time."""

from __future__ import annotations

from celery_app.client.dispatch.local_cache import REMEMBERED_S, Recent
from model.types import Evidence
from tasks.messages import Attribution


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


def attribution(id: str) -> Attribution:
    return Attribution(id, "a", 0.9, (), "v1")


def test_what_was_answered_is_known_as_cached() -> None:
    recent = Recent(2)
    recent.put(given := attribution("1"))
    known = recent.get("1")
    assert known is not None
    assert (known.author, known.cached, given.cached) == ("a", True, False)
    assert recent.get("2") is None


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    recent = Recent(2)
    for id in ("1", "2"):
        recent.put(attribution(id))
    recent.get("1")
    recent.put(attribution("3"))
    assert [recent.get(id) is not None for id in ("1", "2", "3")] == [True, False, True]


def test_nothing_is_remembered_for_long() -> None:
    recent = Recent(2, clock := Clock())
    recent.put(attribution("1"))
    clock.time = REMEMBERED_S
    assert recent.get("1")
    clock.time += 0.1
    assert recent.get("1") is None


def test_what_quotes_a_text_is_not_remembered() -> None:
    recent = Recent(2)
    explained = attribution("1")
    explained.evidence = Evidence("a", 1.0, 0.0, (), 0.0)
    recent.put(explained)
    assert recent.get("1") is None


def test_of_size_none_it_remembers_nothing() -> None:
    recent = Recent(0)
    recent.put(attribution("1"))
    assert recent.get("1") is None
