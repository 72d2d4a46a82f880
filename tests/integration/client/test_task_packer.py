"""The task of a chunk is equal to the task that Celery itself would have sent."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from typing import Any

import pytest
from celery import Celery

from celery_app.app import make_celery
from celery_app.client.redis.task_packer import TaskPacker
from celery_app.settings import Settings
from tasks.messages import QUEUE, REQUEST_IDS, SENT, TASK
from tasks.rollout import queue_of
from tests.parts import Stack

TEXTS = ["one", "zw\u00f6lf \u2603"]
KWARGS: dict[str, Any] = {"explain": False, "version": "v1", "deadlines": [None, 5.0]}


@pytest.fixture
def app(own: Stack) -> Celery:
    return make_celery(Settings.from_environ({"BYLINE_REDIS_URL": own.env["BYLINE_REDIS_URL"]}))


@pytest.mark.parametrize("priority", range(10))
@pytest.mark.parametrize("queue", [QUEUE, queue_of("v1")])
def test_a_packed_chunk_is_equal_to_the_message_that_celery_sends(
    own: Stack, app: Celery, queue: str, priority: int
) -> None:
    sent, ours = _both(own, app, queue, priority)
    assert ours == sent
    assert REQUEST_IDS not in ours["headers"]


def test_request_ids_are_packed_as_a_header_of_celery(own: Stack, app: Celery) -> None:
    sent, ours = _both(own, app, QUEUE, 0, headers={REQUEST_IDS: ["one", ""]})
    assert ours == sent
    assert ours["headers"][REQUEST_IDS] == ["one", ""]


def _both(
    own: Stack, app: Celery, queue: str, priority: int, **options: Any
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the message that Celery sends, and the message that Byline packs."""
    app.send_task(
        TASK,
        args=[TEXTS],
        kwargs=KWARGS,
        task_id="chunk",
        queue=queue,
        priority=priority,
        reply_to="byline:replies:here",
        ignore_result=True,
        argsrepr="(2 messages,)",
        kwargsrepr="{}",
        **options,
    )
    request_ids = options["headers"][REQUEST_IDS] if options else ["", ""]
    task_packer = TaskPacker(app, "byline:replies:here")
    packed = task_packer.pack(queue, "chunk", TEXTS, KWARGS, priority, request_ids)
    queued = own.redis.rpop(packed.queue)
    assert queued is not None, "another list"
    ours = _plain(packed.message)
    assert abs(ours["headers"].pop(SENT) - time.time()) < 5  # a header that only Byline sets
    assert own.redis.keys(f"{QUEUE}*") == []
    return _plain(queued), ours


def _plain(raw: Any) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(raw)
    message["body"] = json.loads(b64decode(message["body"]))
    assert message["properties"].pop("delivery_tag")
    return message
