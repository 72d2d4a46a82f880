"""``MessageCounts``: gathered outcomes reach the metrics, each once."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from celery_app.client import dispatcher, message_counts
from celery_app.client.message_counts import MessageCounts
from monitoring.instruments.metrics import ApiMetrics
from tests.unit.celery_app.client.desk import Desk


def counted(registry: CollectorRegistry, outcome: str) -> float | None:
    return registry.get_sample_value("byline_messages_total", {"outcome": outcome})


@pytest.fixture(autouse=True)
def group(monkeypatch: pytest.MonkeyPatch) -> None:
    """No group ends by itself."""
    monkeypatch.setattr(message_counts, "GROUP_S", 60.0)


def test_gathered_messages_are_added_once() -> None:
    registry = CollectorRegistry()
    counts = MessageCounts(ApiMetrics(registry))
    counts.add("cached")
    counts.add("cached", 2)
    counts.add("shed", 4)
    assert counted(registry, "cached") == 0
    counts.flush()
    counts.flush()
    assert [counted(registry, each) for each in ("cached", "shed", "failed")] == [3, 4, 0]


def test_a_group_ends_at_the_first_message_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = CollectorRegistry()
    counts = MessageCounts(ApiMetrics(registry))
    counts.add("cached")
    assert counted(registry, "cached") == 0
    monkeypatch.setattr(message_counts, "GROUP_S", 0.0)
    counts.add("shed")
    assert [counted(registry, each) for each in ("cached", "shed")] == [1, 1]


@pytest.mark.anyio
async def test_a_running_dispatcher_adds_the_gathered_messages_by_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dispatcher, "SWEEP_S", 0.0)
    async with Desk() as desk:
        await desk.ask("1")
        await desk.ask("1")  # joins the first
        await desk.answer()
        await desk.ask("1")  # is in the local cache
        await desk.ask("2")
        assert counted(desk.registry, "joined") == 1
        assert counted(desk.registry, "cached") == 1


@pytest.mark.anyio
async def test_a_stopped_dispatcher_leaves_no_message_uncounted() -> None:
    async with Desk() as desk:
        await desk.ask("1")
        await desk.ask("1")
        assert counted(desk.registry, "joined") == 0
    assert counted(desk.registry, "joined") == 1
