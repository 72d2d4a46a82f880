"""A transport for Celery's own commands and Flower. It removes private texts from task events.

Events from Byline's workers have no texts. But a client with Celery's setting
``task_send_sent_event`` sends events with a repr of each task's arguments.
"""

from __future__ import annotations

from typing import Any

from celery_app.transport import channel, serialization, transport
from tasks.messages import QUEUE

#: Prefixes of the names of tasks that may carry texts: Byline's tasks, and Celery's own tasks for a
#: canvas (a workflow of tasks).
CARRYING = ("byline.", "celery.")
#: The placeholder that is shown in the place of a task's arguments.
HIDDEN = "(not shown)"


def hide(body: Any) -> Any:
    """Replaces tasks' arguments in ``body`` by a placeholder, and returns ``body``.

    ``body`` is the decoded body of a kombu message. The function changes only events of tasks whose
    arguments may hold private texts.
    """
    for event in body if isinstance(body, list) else [body]:
        if isinstance(event, dict) and str(event.get("type")).startswith("task-"):
            for field in event.keys() & {"args", "kwargs"}:
                if _may_carry(event):
                    event[field] = HIDDEN
    return body


def _may_carry(event: dict[str, Any]) -> bool:
    names = (str(event.get(name)) for name in ("queue", "routing_key"))
    return str(event.get("name")).startswith(CARRYING) or any(n.startswith(QUEUE) for n in names)


class Message(serialization.Message):
    """A kombu message. In Celery's task events, a placeholder replaces the task's arguments."""

    def _decode(self) -> Any:
        return hide(super()._decode())


class Channel(channel.Channel):
    """Byline's channel for Redis. Task events show a placeholder for the task's arguments."""

    Message = Message


class Transport(transport.Transport):
    """A Celery transport for Redis, for Celery's own commands and Flower.

    Task events show a placeholder in the place of the task's arguments, because the arguments
    can hold private texts.
    """

    Channel = Channel
