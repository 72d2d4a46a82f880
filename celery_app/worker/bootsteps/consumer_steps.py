"""Bootsteps of Celery's consumer: heartbeat, registration, forwarding of tasks, and events.

These bootsteps start at each connection to the broker, and stop when the connection is lost.
Celery's manual describes bootsteps under "Extensions and Bootsteps".
"""

from __future__ import annotations

import faulthandler
import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import msgspec
from celery import bootsteps
from celery.worker.consumer.events import Events
from celery.worker.consumer.tasks import Tasks
from kombu.common import ignore_errors
from redis import RedisError

from celery_app.worker.batch_runner import EXIT_FAILURE
from celery_app.worker.batcher import Batcher
from celery_app.worker.bootsteps.services import WorkerServices, services_of
from monitoring.instruments import background
from monitoring.instruments.background import guarded
from monitoring.instruments.request_ids import about
from tasks.messages import ANNOUNCE_S, Announcement
from tasks.rollout import WorkerRegistry

logger = logging.getLogger(__name__)

#: Seconds between two checks of whether the model's thread is alive.
WATCH_S = 1.0
#: Seconds between two transmissions of Celery's task events. A monitor reads them every second.
EVENTS_S = 0.2
#: Number of gathered events at which Celery sends them at once.
MAX_BUFFERED_EVENTS = 500


class HeartbeatStep(bootsteps.StartStopStep):
    """Prevents other workers from taking the tasks of this worker. Ends this worker if it hangs.

    Renews the visibility timeout of the worker's tasks. If the model's thread is silent for
    ``BYLINE_BATCH_TIMEOUT_S`` seconds, the worker ends, and its tasks go to other workers.
    """

    requires = (Tasks,)
    timers: Sequence[Any] = ()

    def start(self, consumer: Any) -> None:
        """Starts two timers, for the visibility timeout and for the check of the model's thread."""
        qos = consumer.task_consumer.channel.qos
        timeout_s = services_of(consumer).settings.batch_timeout_s
        end_if_hung = partial(_end_if_hung, consumer.controller.batcher, timeout_s)
        watch = guarded(end_if_hung, "the watchdog")
        watch()
        self.timers = (
            # With this renewal, the visibility timeout can be shorter than the computation of a
            # batch. If this timer raises an error, Celery connects again.
            consumer.timer.call_repeatedly(qos.visibility_timeout / 4, qos.touch),
            consumer.timer.call_repeatedly(WATCH_S, watch),
        )

    def stop(self, consumer: Any) -> None:
        """Stops both timers."""
        for timer in self.timers:
            timer.cancel()
        faulthandler.cancel_dump_traceback_later()


def _end_if_hung(batcher: Batcher, timeout_s: float) -> None:
    """Ends the process if the model's thread is silent for ``timeout_s`` seconds.

    The whole process must end, because a thread can't be ended.
    """
    if batcher.silent_s < timeout_s:
        # This ends the process even if the model never releases the interpreter lock, so that this
        # function is not called again. Descriptor 2 is stderr; Celery has replaced sys.stderr.
        faulthandler.dump_traceback_later(timeout_s, file=2, exit=True)
        return
    with about(batcher.request_ids):
        logger.critical("the model has been silent for %.0f s; the worker ends", batcher.silent_s)
    try:
        batcher.close()  # so that waiting tasks need not wait for the visibility timeout
    finally:
        logging.shutdown()
        os._exit(EXIT_FAILURE)


class AnnounceStep(bootsteps.StartStopStep):
    """Registers this worker and its model in Redis while the worker consumes tasks."""

    requires = (Tasks,)
    timer: Any = None
    version = ""

    def start(self, consumer: Any) -> None:
        """Registers the worker, and starts a timer that registers it again and again."""
        services = services_of(consumer)
        announcement = _announcement(services)
        self.version = announcement.version
        card = msgspec.json.encode(announcement)
        register = partial(
            _register, services.worker_registry, consumer.hostname, self.version, card
        )
        guarded(partial(register, started=True), "the worker's first registration")()
        repeat = guarded(register, "the worker's registration")
        self.timer = consumer.timer.call_repeatedly(ANNOUNCE_S, repeat)

    def stop(self, consumer: Any) -> None:
        """Stops the timer, and removes the worker from the registry.

        If the worker only reconnects to the broker, it stays in the registry.
        """
        if self.timer is None:
            return
        self.timer.cancel()
        if consumer.blueprint.state == bootsteps.RUN:
            return
        try:
            services_of(consumer).worker_registry.sign_out(consumer.hostname, self.version)
        except RedisError as error:
            logger.warning("the worker could not sign out: %s", error)


def _announcement(services: WorkerServices) -> Announcement:
    """Returns a description of the served model, which the worker announces to the api.

    Also sets the metric that shows the model's version and device.
    """
    engine = services.engine
    services.metrics.model.clear()
    services.metrics.model.labels(engine.version, str(engine)).set(1)
    return Announcement(asdict(engine.card), str(engine))


def _register(
    worker_registry: WorkerRegistry, node: str, version: str, card: bytes, started: bool = False
) -> None:
    try:
        worker_registry.sign(node, version, card, started)
    except RedisError as error:
        logger.warning("the worker could not register: %s", error)


class ForwardStep(bootsteps.StartStopStep):
    """Runs the forwarder (:mod:`celery_app.worker.forwarder`) while the worker consumes tasks."""

    requires = (Tasks,)
    stopping: threading.Event | None = None

    def start(self, consumer: Any) -> None:
        """Starts the forwarder's thread."""
        self.stopping = threading.Event()
        forward = partial(services_of(consumer).forwarder.run_once, self.stopping)
        background.start(forward, "forwarder", self.stopping)

    def stop(self, consumer: Any) -> None:
        """Ends the forwarder's thread."""
        if self.stopping is not None:
            self.stopping.set()


class EventsStep(bootsteps.StartStopStep):
    """Sends Celery's task events a few times a second instead of a few times per task.

    Celery sends the gathered events every :data:`EVENTS_S` seconds, or as soon as there are
    :data:`MAX_BUFFERED_EVENTS`.
    """

    requires = (Events,)
    timer: Any = None

    def start(self, consumer: Any) -> None:
        """Makes Celery gather events, and starts the timer that sends them."""
        dispatcher = consumer.event_dispatcher
        # Celery's own callback sends the gathered events at every turn of the loop. At hundreds of
        # tasks a second, this takes a quarter of the loop's time.
        dispatcher.on_send_buffered = None
        dispatcher.buffer_limit = MAX_BUFFERED_EVENTS
        self.timer = consumer.timer.call_repeatedly(EVENTS_S, dispatcher.flush)

    def stop(self, consumer: Any) -> None:
        """Stops the timer, and sends the gathered events.

        Celery itself sends later events, such as the events of the batch that is still running.
        """
        if self.timer is None:
            return
        self.timer.cancel()
        dispatcher = consumer.event_dispatcher
        if dispatcher is not None:
            dispatcher.on_send_buffered = consumer.on_send_event_buffered
            ignore_errors(consumer, dispatcher.flush)
