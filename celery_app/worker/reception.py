"""How Celery's consumer receives and acknowledges, where its own way is not that of batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from celery import bootsteps
from celery.worker.consumer.tasks import Tasks
from kombu.message import Message


class RoomStep(bootsteps.StartStopStep):
    """Has Celery receive no more than the batcher has room for, in messages.

    Celery's prefetch counts tasks, and a task may hold one message or hundreds.
    """

    requires = (Tasks,)

    def start(self, consumer: Any) -> None:
        """Ask the batcher, too, whether to receive, and of which priorities."""
        channel, batcher = consumer.task_consumer.channel, consumer.controller.batcher
        channel.wants_pressing_only = batcher.wants_pressing_only
        qos = channel.qos
        can_consume = qos.can_consume
        qos.can_consume = lambda: batcher.has_room() and can_consume()


class AcknowledgeStep(bootsteps.StartStopStep):
    """Has a task acknowledged by the thread that has seen to it.

    Celery wakes its loop for each task, to have it acknowledged there. With Byline's transport that
    only notes the task for the next claim, and any thread may do so.
    """

    requires = (Tasks,)

    def start(self, consumer: Any) -> None:
        """Acknowledge at once, and wake the loop only where it would not turn by itself."""
        cycle = consumer.task_consumer.channel.connection.cycle
        soon = partial(type(consumer).call_soon_ack, consumer)

        def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if getattr(function, "__func__", None) is not Message.ack_log_error:
                return soon(function, *args, **kwargs)  # to give back takes a round trip
            function(*args, **kwargs)
            if not cycle.turns:
                consumer.call_soon(_nothing)
            return None

        consumer.call_soon_ack = call


def _nothing() -> None:
    """Be what wakes the loop."""
