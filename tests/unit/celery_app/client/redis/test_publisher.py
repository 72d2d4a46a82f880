"""``Publisher``: the Redis list of a chunk, and the headers of the chunk's task."""

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


class Redis:
    """Records the list and the headers of each task that the publisher pushes."""

    def __init__(self) -> None:
        self.pushed: list[str] = []
        self.headers: list[dict[str, Any]] = []

    async def execute_command(self, command: str, key: str, message: bytes) -> None:
        assert command == "LPUSH"
        self.pushed.append(key)
        self.headers.append(json.loads(message)["headers"])


def make_publisher(connection: Any) -> Publisher:
    app = make_celery(Settings(redis_url="redis://127.0.0.1:1/0"))
    return Publisher(app, connection, connection, Mock(), QueueCapacity(1))


async def test_a_chunk_without_a_credit_goes_to_the_list_of_the_next_priority() -> None:
    publisher = make_publisher(connection := Redis())
    for without_credit in (False, True):
        entry = Entry("1", "1", "v1")
        entry.without_credit = without_credit
        await publisher.send(f"chunk {without_credit}", [entry])
    assert connection.pushed == lists(queue_of("v1"))[:2]


async def test_a_chunk_has_a_request_id_for_each_message_where_any_has_one() -> None:
    publisher = make_publisher(connection := Redis())
    await publisher.send("named", [Entry("1", "1", "v1", request_id="a"), Entry("2", "2", "v1")])
    await publisher.send("nameless", [Entry("1", "1", "v1"), Entry("2", "2", "v1")])
    assert connection.headers[0][REQUEST_IDS] == ["a", ""]
    assert REQUEST_IDS not in connection.headers[1]
