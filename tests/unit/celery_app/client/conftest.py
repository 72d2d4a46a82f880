"""Fixtures: the event loop of the api, and a dispatcher that sends without delay."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from celery_app.client.dispatch import flush_policy
from celery_app.client.redis import cache_lookup
from tests.unit.celery_app.client.desk import Desk


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": True}  # as in the server


@pytest.fixture(autouse=True)
def no_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush_policy, "LINGER_S", 0.0)
    monkeypatch.setattr(flush_policy, "LEAD_S", 60.0)  # however slow the machine is
    monkeypatch.setattr(cache_lookup, "WORTH_A_LOOK", 1)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    async with Desk() as desk:
        yield desk
