"""Bootsteps of Celery's worker: the model, its metrics, housekeeping, and stack dumps.

These bootsteps start before the worker connects to the broker. Celery's manual describes bootsteps
under "Extensions and Bootsteps".
"""

from __future__ import annotations

import faulthandler
import logging
import signal
import threading
from typing import Any

from celery import bootsteps
from celery.concurrency.thread import TaskPool
from celery.exceptions import ImproperlyConfigured
from celery.signals import worker_shutdown
from celery.worker.components import Pool
from prometheus_client import make_wsgi_app

from celery_app import garbage
from celery_app.worker.batcher import Batcher
from celery_app.worker.bootsteps.services import services_of
from model.serving.device import DeviceError
from model.types import DeviceLost, ModelError, ModelRefused
from monitoring.instruments import background
from monitoring.instruments.listener import Listener
from tasks.rollout import queue_of

logger = logging.getLogger(__name__)

#: Longest time that messages wait in a worker, in seconds. Other workers can't take them meanwhile.
MAX_WAIT_S = 5.0
#: Seconds between two rounds of housekeeping.
HOUSEKEEPING_S = 2.0
#: Exit status of a worker with a wrong setting, for example a model that can't be served. A new
#: start does not help: `make run` gives up its start after two such ends of a worker in a row.
WRONG_SETTINGS = 2


class ModelStep(bootsteps.StartStopStep):
    """Starts the model in the pool's one thread, and gives Byline's tasks to the batcher.

    Celery logs "ready" only after the model is loaded and warm. If the model can't start, the
    worker ends. Its exit status is 2 if the model is unusable, otherwise 1.
    """

    requires = (Pool,)

    def create(self, worker: Any) -> Any:
        """Makes the batcher, and puts it between Celery's consumer and the pool."""
        _refuse_unsafe_pool(worker)
        services = services_of(worker)
        settings, task = services.settings, services.task
        batcher = worker.batcher = Batcher(
            task,
            worker.pool.executor,
            services.engine,
            settings.batch_messages,
            settings.batch_wait_ms / 1000,
            MAX_WAIT_S,
        )
        execute = worker.process_task

        def process_task(request: Any) -> Any:
            return batcher.add(request) if request.task is task else execute(request)

        worker.process_task = process_task
        return self

    def start(self, worker: Any) -> None:
        """Loads and warms the model. Makes the worker consume the queue of the model's version."""
        services = services_of(worker)
        engine, name = services.engine, services.settings.model
        try:
            worker.pool.executor.submit(engine.start).result()
        except (DeviceError, DeviceLost, ModelError) as error:
            logger.critical("BYLINE_MODEL=%s can't be served: %s", name, error)
            # With any other error, such as a failed device, a new start may help.
            refused = isinstance(error, ModelRefused)
            raise SystemExit(WRONG_SETTINGS if refused else 1) from error
        # The version is known only now: a model in half precision has another version.
        worker.app.amqp.queues.select([queue_of(engine.version)])
        garbage.freeze()

    def stop(self, worker: Any) -> None:
        """Gives the waiting tasks back to the broker.

        Celery stops the pool later, after the pool has finished its current batch.
        """
        worker.batcher.close()

    terminate = stop


class MetricsStep(bootsteps.StartStopStep):
    """Serves the worker's Prometheus metrics from other threads, even while the model computes."""

    requires = (Pool,)
    listener: Listener | None = None

    def start(self, worker: Any) -> None:
        """Opens the worker's metrics port. If the port is taken, the worker ends."""
        services = services_of(worker)
        host = services.settings.metrics_host
        port = services.settings.metrics_port + services.settings.worker_number
        try:
            self.listener = Listener(make_wsgi_app(services.metrics_registry), host, port)
        except OSError as error:
            logger.critical("BYLINE_METRICS_PORT=%d can't be used: %s", port, error)
            raise SystemExit(1) from error

    def stop(self, worker: Any) -> None:
        """Closes the metrics port."""
        if self.listener is not None:
            self.listener.stop()
            self.listener = None

    terminate = stop


class HousekeepingStep(bootsteps.StartStopStep):
    """Runs the worker's housekeeping (regular jobs) every few seconds in a thread.

    The thread starts after the model is loaded.
    """

    requires = (Pool, ModelStep)
    stopping: threading.Event

    def start(self, worker: Any) -> None:
        """Starts the thread of the housekeeping.

        Ends the worker instead if its memory limit is too low for its model.
        """
        housekeeping = services_of(worker).housekeeping
        housekeeping.refuse_low_limit()
        self.stopping = stopping = threading.Event()
        jobs = housekeeping.jobs(worker.batcher)

        def run_all() -> None:
            if not stopping.wait(HOUSEKEEPING_S):
                for job in jobs:
                    job()

        background.start(run_all, "housekeeping", stopping)
        # Celery sends this signal after the pool has finished its last batch.
        worker_shutdown.connect(lambda **_: housekeeping.report_predictions(), weak=False)

    def stop(self, worker: Any) -> None:
        """Ends the thread of the housekeeping."""
        self.stopping.set()

    terminate = stop


class StackDumpStep(bootsteps.StartStopStep):
    """Makes the signal SIGUSR1 print the stack of each thread without local variables.

    Celery's own handler logs local variables, which may hold message texts.
    """

    def start(self, worker: Any) -> None:
        """Replaces the handler for SIGUSR1 that Celery has installed."""
        # Descriptor 2 is stderr. Celery has replaced sys.stderr by an object without descriptor.
        faulthandler.register(signal.SIGUSR1, file=2)


def _refuse_unsafe_pool(worker: Any) -> None:
    """Raises ``ImproperlyConfigured`` for a pool that forks, or that has more than one thread.

    A fork breaks CUDA and MPS (Apple's GPU). MPS aborts the process if two threads use MPS.
    """
    pool = getattr(worker.pool_cls, "__module__", "").rpartition(".")[2]
    threads = worker.min_concurrency
    if not issubclass(worker.pool_cls, TaskPool) or threads != 1 or worker.autoscale:
        raise ImproperlyConfigured(
            f"pool {pool!r} with concurrency {threads} is unsafe: one thread must own the model. "
            "Use --pool=threads --concurrency=1, and more workers for more throughput"
        )
