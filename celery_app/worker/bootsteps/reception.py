"""Bootsteps that change how Celery's consumer receives and acknowledges tasks, to suit batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from celery import bootsteps
from celery.worker.consumer.tasks import Tasks
from kombu.message import Message


class RoomStep(bootsteps.StartStopStep):
    """Makes Celery receive tasks only while the batcher has room for their messages.

    Celery's own limit, the prefetch count, counts tasks. But a task may hold one message or
    hundreds.
    """

    requires = (Tasks,)

    def start(self, consumer: Any) -> None:
        """Makes the channel ask the batcher whether to receive tasks, and of which priorities."""
        channel, batcher = consumer.task_consumer.channel, consumer.controller.batcher
        channel.wants_pressing_only = batcher.wants_urgent_only
        qos = channel.qos
        can_consume = qos.can_consume
        qos.can_consume = lambda: batcher.has_room() and can_consume()


class AcknowledgeStep(bootsteps.StartStopStep):
    """Lets the model's thread acknowledge the tasks that it has finished.

    Celery itself wakes its event loop for each task, and acknowledges the task there. With Byline's
    transport, any thread may acknowledge a task.
    """

    requires = (Tasks,)

    def start(self, consumer: Any) -> None:
        """Replaces the consumer's method ``call_soon_ack``, which acknowledges a task.

        The new method acknowledges the task at once. Then it wakes the event loop, unless the loop
        will wake by itself soon.
        """
        cycle = consumer.task_consumer.channel.connection.cycle
        soon = partial(type(consumer).call_soon_ack, consumer)

        def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if getattr(function, "__func__", None) is not Message.ack_log_error:
                return soon(function, *args, **kwargs)  # giving a task back takes a round trip
            function(*args, **kwargs)
            if not cycle.turns:
                consumer.call_soon(_nothing)
            return None

        consumer.call_soon_ack = call


def _nothing() -> None:
    """Does nothing. Scheduling this function as a callback wakes Celery's event loop."""
