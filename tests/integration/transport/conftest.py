"""Fixtures: consumers and a producer of tasks, with a Redis of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection

from tests.integration.transport.consumer import QUEUE, Worker
from tests.parts import Stack


@pytest.fixture
def url(own: Stack) -> str:
    return f"redis://localhost:{own.redis.connection_pool.connection_kwargs['port']}/0"


@pytest.fixture
def start(url: str) -> Iterator:
    workers: list[Worker] = []

    def start(transport: str, prefetch: int = 100, **options: Any) -> Worker:
        workers.append(Worker(url, transport, prefetch, **options))
        return workers[-1]

    yield start
    for worker in workers:
        worker.connection.close()


@pytest.fixture
def send(url: str) -> Iterator:
    with Connection(url) as connection, connection.Producer() as producer:

        def send(body: str, priority: int = 0) -> None:
            producer.publish(body, routing_key="tasks", priority=priority, declare=[QUEUE])

        yield send
