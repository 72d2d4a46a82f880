"""What Byline adds to Celery's worker: a step that owns the model, a step that announces it."""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from celery import bootsteps
from celery.concurrency.thread import TaskPool
from celery.exceptions import ImproperlyConfigured
from celery.worker.components import Pool
from celery.worker.consumer.events import Events
from celery.worker.consumer.tasks import Tasks
from kombu.common import ignore_errors
from prometheus_client import CollectorRegistry, make_wsgi_app
from redis import RedisError

from celery_app.worker.batcher import EXIT_FAILURE, Batcher
from model.serving.device import DeviceError
from model.serving.engine import Engine
from model.types import ModelError
from monitoring.instruments.background import guarded
from monitoring.instruments.listener import Listener
from monitoring.instruments.request_ids import about
from tasks.attribute import AttributeTask
from tasks.messages import ANNOUNCE_S, Announcement
from tasks.rollout import WorkerRegistry, queue_of

logger = logging.getLogger(__name__)

#: Seconds between two sendings of Celery's task events. What watches them looks every second.
EVENTS_S = 0.2
#: Seconds between two looks at whether the model's thread is alive.
WATCH_S = 1.0
#: Events that are sent at once when so many have gathered.
EVENTS = 500

Step = type[bootsteps.StartStopStep]


def model_step(
    engine: Engine, task: AttributeTask, limit: int, wait_s: float, hold_s: float
) -> Step:
    """Return the step that starts ``engine`` in the pool's one thread and batches for it.

    It starts before Celery consumes, so a worker that says it is ready is warm; where the
    engine can't start, the worker ends with the reason.
    """

    class ModelStep(bootsteps.StartStopStep):
        requires = (Pool,)

        def create(self, worker: Any) -> Any:
            _refuse_unsafe_pool(worker)
            submit = worker.pool.executor.submit
            batcher = Batcher(task, submit, limit, wait_s, hold_s, lambda: engine.overlaps)
            worker.batcher = batcher
            execute = worker.process_task

            def process_task(request: Any) -> Any:
                return batcher.add(request) if request.task is task else execute(request)

            worker.process_task = process_task
            return self

        def start(self, worker: Any) -> None:
            try:
                worker.pool.executor.submit(engine.start).result()
            except (DeviceError, ModelError, OSError, ValueError) as error:
                logger.critical("the model can't be served: %s", error)
                raise SystemExit(1) from error
            # Not before: in half precision a model is another version.
            worker.app.amqp.queues.select([queue_of(engine.version)])
            # What was made up to here stays: not to be looked through for garbage again and again.
            gc.collect()
            gc.freeze()

        def stop(self, worker: Any) -> None:
            worker.batcher.close()  # the pool, stopped next, waits for the batch that runs

        terminate = stop

    return ModelStep


def hold_step(timeout_s: float) -> Step:
    """Return the step that lets the broker know that what the worker holds is being seen to.

    So the visibility timeout may be short, whatever a batch takes. A model that is silent for
    ``timeout_s`` is another matter: the worker ends, and what it holds goes to others.
    """

    class HoldStep(bootsteps.StartStopStep):
        requires = (Tasks,)
        timers: Sequence[Any] = ()

        def start(self, consumer: Any) -> None:
            qos = consumer.task_consumer.channel.qos
            watch = guarded(partial(_watch, consumer.controller.batcher, timeout_s), "the watchdog")
            watch()
            self.timers = (
                # What it raises is Celery's to see to: it connects again.
                consumer.timer.call_repeatedly(qos.visibility_timeout / 4, qos.touch),
                consumer.timer.call_repeatedly(WATCH_S, watch),
            )

        def stop(self, consumer: Any) -> None:
            for timer in self.timers:
                timer.cancel()
            faulthandler.cancel_dump_traceback_later()

    return HoldStep


def _watch(batcher: Batcher, timeout_s: float) -> None:
    """End the process where the model has been silent for too long: a thread can't be ended."""
    if batcher.silent_s < timeout_s:
        # Should this not be called again, for the model does not let go of the interpreter.
        # To the descriptor: Celery has put an object of its own in the place of sys.stderr.
        faulthandler.dump_traceback_later(timeout_s, file=2, exit=True)
        return
    with about(batcher.request_ids):
        logger.critical("the model has been silent for %.0f s; the worker ends", batcher.silent_s)
    try:
        batcher.close()  # what waits need not wait for the visibility timeout
    finally:
        logging.shutdown()
        os._exit(EXIT_FAILURE)


def announce_step(
    worker_registry: WorkerRegistry, announcement: Callable[[], Announcement]
) -> Step:
    """Return the step that signs this worker in as alive, for as long as Celery consumes."""

    class AnnounceStep(bootsteps.StartStopStep):
        requires = (Tasks,)
        timer: Any = None

        def start(self, consumer: Any) -> None:
            announced = announcement()
            self.version = announced.version
            card = msgspec.json.encode(announced)
            sign = partial(_sign, worker_registry, consumer.hostname, self.version, card)
            guarded(partial(sign, started=True), "the first signing in")()
            self.timer = consumer.timer.call_repeatedly(ANNOUNCE_S, guarded(sign, "signing in"))

        def stop(self, consumer: Any) -> None:
            if self.timer is None:
                return
            self.timer.cancel()
            if consumer.blueprint.state == bootsteps.RUN:
                return  # it connects again, and others must not take it for gone
            try:
                worker_registry.sign_out(consumer.hostname, self.version)
            except RedisError as error:
                logger.warning("the worker could not sign out: %s", error)

    return AnnounceStep


def metrics_step(registry: CollectorRegistry, host: str, port: int) -> Step:
    """Return the step that serves the worker's metrics, without Celery.

    A thread of their own answers, so that a busy worker answers, too.
    """

    class MetricsStep(bootsteps.StartStopStep):
        requires = (Pool,)
        listener: Listener | None = None

        def start(self, worker: Any) -> None:
            try:
                self.listener = Listener(make_wsgi_app(registry), host, port)
            except OSError as error:
                logger.critical("BYLINE_METRICS_PORT=%d can't be used: %s", port, error)
                raise SystemExit(1) from error

        def stop(self, worker: Any) -> None:
            if self.listener is not None:
                self.listener.stop()
                self.listener = None

        terminate = stop

    return MetricsStep


class EventsStep(bootsteps.StartStopStep):
    """Sends Celery's task events a few times a second instead of a few times a task.

    Celery publishes what has gathered on every turn of its loop; at hundreds of tasks a second
    that costs a quarter of the loop. A full buffer is still sent at once.
    """

    requires = (Events,)
    timer: Any = None

    def start(self, consumer: Any) -> None:
        """Have events gather, and a timer send them."""
        dispatcher = consumer.event_dispatcher
        dispatcher.on_send_buffered = None
        dispatcher.buffer_limit = EVENTS
        self.timer = consumer.timer.call_repeatedly(EVENTS_S, dispatcher.flush)

    def stop(self, consumer: Any) -> None:
        """Send what has gathered."""
        if self.timer is None:
            return
        self.timer.cancel()
        dispatcher = consumer.event_dispatcher
        if dispatcher is not None:  # the last batch is still to come: its events go as Celery's do
            dispatcher.on_send_buffered = consumer.on_send_event_buffered
            ignore_errors(consumer, dispatcher.flush)


def _sign(
    worker_registry: WorkerRegistry, node: str, version: str, card: bytes, started: bool = False
) -> None:
    try:
        worker_registry.sign(node, version, card, started)
    except RedisError as error:
        logger.warning("the worker could not sign in: %s", error)


def _refuse_unsafe_pool(worker: Any) -> None:
    """CUDA and MPS break after fork, and MPS aborts when two threads use it."""
    pool = getattr(worker.pool_cls, "__module__", "").rpartition(".")[2]
    threads = worker.min_concurrency
    if not issubclass(worker.pool_cls, TaskPool) or threads != 1 or worker.autoscale:
        raise ImproperlyConfigured(
            f"pool {pool!r} with concurrency {threads} is unsafe: one thread must own the model. "
            "Use --pool=threads --concurrency=1, and more workers for more throughput"
        )
