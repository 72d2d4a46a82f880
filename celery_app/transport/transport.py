"""Kombu's Redis transport with Byline's channel."""

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
    """``broker_transport`` of whoever works for Byline's queue; clients need nothing of it."""

    Channel = Channel
    cycle: Any
    #: After these Celery connects again; others end the worker. A Redis that refuses a command, for
    #: want of memory or disk, may get well.
    connection_errors = (*redis.Transport.connection_errors, ResponseError)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.cycle = Poller()
        #: An option of the transport: what dead workers held is looked at as soon as there is a
        #: connection.
        client: Any = self.client
        self.put_dead_letter: PutDeadLetter = client.transport_options.get("put_dead_letter", _log)

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Be called at each turn of the loop, as kombu is."""
        super().register_with_event_loop(connection, Loop(loop))


def _log(kind: str, _queue: str, _size: int) -> None:
    """Stand in for what puts malformed tasks among the dead letters."""
    log_once(logger, logging.ERROR, "tasks that can't be read are dropped: %s", kind)
