"""The fixture ``worker``: a batcher with fakes around it."""

from __future__ import annotations

import pytest

from tests.unit.celery_app.worker.fakes import Worker


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(monkeypatch)
