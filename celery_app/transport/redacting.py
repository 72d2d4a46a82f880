"""The transport for Celery's own commands and Flower, which hides texts in Celery's events.

Events of Byline's workers hold no texts. Events of a client may: with Celery's setting
``task_send_sent_event``, a client sends a repr of each task's arguments.
"""

from __future__ import annotations

from typing import Any

from celery_app.transport import channel, serialization, transport
from tasks.messages import QUEUE

#: Prefixes of the names of tasks that may carry texts: Byline's tasks, and Celery's for a canvas.
CARRYING = ("byline.", "celery.")
#: Shown in the place of the arguments.
HIDDEN = "(not shown)"


def hide(body: Any) -> Any:
    """Hides the arguments of tasks in ``body``, the body of a message, and returns the body.

    Only events of Celery are changed, and of these only the events of tasks that may carry texts.
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
    """A kombu message that hides the arguments of tasks, if it holds events of Celery."""

    def _decode(self) -> Any:
        return hide(super()._decode())


class Channel(channel.Channel):
    """Byline's channel, whose messages hide the arguments in events."""

    Message = Message


class Transport(transport.Transport):
    """Byline's transport, whose messages hide the arguments in events."""

    Channel = Channel
