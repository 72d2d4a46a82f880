"""A worker of fakes."""

from __future__ import annotations

import pytest

from tests.unit.celery_app.fakes import Worker


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(monkeypatch)
