"""Where a chunk is queued."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from celery_app.app import make_celery
from celery_app.client.entry import Entry
from celery_app.client.queue_room import QueueRoom
from celery_app.client.submit import Submitter
from celery_app.settings import Settings
from tasks.rollout import lists, queue_of

pytestmark = pytest.mark.anyio


class Line:
    """Notes the lists that are pushed to."""

    def __init__(self) -> None:
        self.pushed: list[str] = []

    async def call(self, command: str, key: str, message: bytes) -> None:
        assert command == "LPUSH"
        self.pushed.append(key)


async def test_what_leaves_without_a_credit_is_in_the_list_behind() -> None:
    app = make_celery(Settings.from_environ({"BYLINE_REDIS_URL": "redis://127.0.0.1:1/0"}))
    line: Any = Line()
    submitter = Submitter(app, line, line, line, Mock(), QueueRoom(1))
    for behind in (False, True):
        entry = Entry("1", "1", "v1")
        entry.behind = behind
        await submitter.send(f"chunk {behind}", [entry])
    assert line.pushed == lists(queue_of("v1"))[:2]
