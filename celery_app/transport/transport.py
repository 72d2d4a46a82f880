"""Kombu's Redis transport with Byline's channel, for Celery's setting ``broker_transport``."""

from __future__ import annotations

import logging
from typing import Any

from kombu.transport import redis
from redis import ResponseError

from celery_app.transport.channel import Channel, PutDeadLetter
from celery_app.transport.poller import Loop, Poller
from monitoring.instruments.log_once import log_once

logger = logging.getLogger(__name__)


class Transport(redis.Transport):
    """The transport of Byline's workers. A client that only sends tasks does not need it."""

    Channel = Channel
    cycle: Any
    #: After these errors Celery connects again; other errors end the worker. ``ResponseError`` is
    #: one of them: Redis sends it, for example, when its memory or disk is full, and may recover.
    connection_errors = (*redis.Transport.connection_errors, ResponseError)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle = Poller()
        client: Any = self.client
        #: This function comes from the transport's options, because the first sweep for dead
        #: workers' tasks may need it. This sweep runs as soon as the worker is connected.
        self.put_dead_letter: PutDeadLetter = client.transport_options.get("put_dead_letter", _log)

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Makes the worker's event loop call the poller at each turn.

        Gives kombu's own method a :class:`Loop`, which wraps the event loop.
        """
        super().register_with_event_loop(connection, Loop(loop))


def _log(kind: str, _queue: str, _size: int) -> None:
    """Logs that unreadable tasks are dropped. ``kind`` says what is wrong with a task.

    The transport calls this function in processes that write no dead letters.
    """
    log_once(logger, logging.ERROR, "tasks that can't be read are dropped: %s", kind)
