"""The transport of Celery's own commands, Flower among them: it hides texts that events hold.

The events of Byline's workers hold none. A client's own may: where its app has Celery's setting
``task_send_sent_event``, it sends a repr of each task's arguments.
"""

from __future__ import annotations

from typing import Any

from celery_app.transport import channel, serialization, transport
from tasks.messages import QUEUE

#: How the names of tasks begin that may carry texts: Byline's, and Celery's own for a canvas.
CARRYING = ("byline.", "celery.")
#: What is shown in the place of the arguments.
HIDDEN = "(not shown)"


def hide(body: Any) -> Any:
    """Return a message's body, with nothing of the arguments where it is an event, or several."""
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
    """A message whose events show no arguments, whoever reads it."""

    def _decode(self) -> Any:
        return hide(super()._decode())


class Channel(channel.Channel):
    """Byline's, with such messages."""

    Message = Message


class Transport(transport.Transport):
    """Byline's, with such messages."""

    Channel = Channel
