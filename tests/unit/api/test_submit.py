"""Where a chunk is queued, and what its headers say of its messages."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import Mock

import pytest

from celery_app.app import make_celery
from celery_app.client.entry import Entry
from celery_app.client.redis.publisher import Publisher
from celery_app.client.redis.queue_capacity import QueueCapacity
from celery_app.settings import Settings
from tasks.messages import REQUEST_IDS
from tasks.rollout import lists, queue_of

pytestmark = pytest.mark.anyio


class RedisConnection:
    """Notes the lists that are pushed to, and the headers of what is."""

    def __init__(self) -> None:
        self.pushed: list[str] = []
        self.headers: list[dict[str, Any]] = []

    async def call(self, command: str, key: str, message: bytes) -> None:
        assert command == "LPUSH"
        self.pushed.append(key)
        self.headers.append(json.loads(message)["headers"])


def publisher(line: Any) -> Publisher:
    app = make_celery(Settings.from_environ({"BYLINE_REDIS_URL": "redis://127.0.0.1:1/0"}))
    return Publisher(app, line, line, line, Mock(), QueueCapacity(1))


async def test_what_leaves_without_a_credit_is_in_the_list_behind() -> None:
    submitting = publisher(line := RedisConnection())
    for behind in (False, True):
        entry = Entry("1", "1", "v1")
        entry.behind = behind
        await submitting.send(f"chunk {behind}", [entry])
    assert line.pushed == lists(queue_of("v1"))[:2]


async def test_a_chunk_carries_an_id_for_each_message_where_any_has_one() -> None:
    submitting = publisher(line := RedisConnection())
    await submitting.send("named", [Entry("1", "1", "v1", request_id="a"), Entry("2", "2", "v1")])
    await submitting.send("nameless", [Entry("1", "1", "v1"), Entry("2", "2", "v1")])
    assert line.headers[0][REQUEST_IDS] == ["a", ""]
    assert REQUEST_IDS not in line.headers[1]
