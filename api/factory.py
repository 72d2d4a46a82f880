"""The api's composition root: the services of one process."""

from __future__ import annotations

from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from api.feedback import Feedback
from api.figures import Figures
from api.keys_file import KeysFile
from api.rate_limiter import RateLimiter
from api.request_metrics import RequestMetrics
from api.service import AttributionService
from celery_app.app import make_celery
from celery_app.client.directory import Directory
from celery_app.client.line import Line
from celery_app.client.outbox import Outbox
from celery_app.client.queue_room import QueueRoom
from celery_app.client.recent import Recent
from celery_app.client.submit import POP_S, Submitter
from celery_app.connections import REDIS_TIMEOUT_S, connect, connect_async, pool_async
from celery_app.settings import Settings
from monitoring import exposition
from monitoring.metrics import ApiMetrics
from monitoring.windows import LABELS, Window
from tasks.promises import Promises


@dataclass(frozen=True, slots=True)
class Services:
    """What the views call, and what they run on."""

    attributions: AttributionService
    feedback: Feedback
    figures: Figures
    directory: Directory
    outbox: Outbox
    metrics: RequestMetrics


def build(settings: Settings, keys: KeysFile | None) -> Services:
    """Build the services of one process, in its event loop's thread, and start their threads.

    Raises:
        OSError: the port of the metrics can't be had.
    """
    registry = CollectorRegistry()
    metrics = ApiMetrics(registry)
    exposition.serve(settings.metrics_host, settings.api_metrics_port, registry)
    shared = connect_async(settings.cache)
    broker = _line(settings.broker, REDIS_TIMEOUT_S)
    cache = _line(settings.cache, REDIS_TIMEOUT_S)
    room = QueueRoom(settings.promised_messages)
    directory = Directory(connect(settings.broker), connect(settings.cache), settings.here, room)
    directory.start()
    if keys is not None:
        keys.start()
    promises = Promises(
        broker.call,
        cache.call,
        settings.result_ttl_s,
        room=lambda: room.promises,
        lists=directory.lists,
    )
    replies = _line(settings.broker, 2 * POP_S)
    submitter = Submitter(make_celery(settings), broker, cache, replies, promises, room)
    outbox = _outbox(settings, submitter, directory, room, metrics)
    limiter = RateLimiter(shared)
    labels = Window(LABELS, settings.feedback_window_s)
    metrics.credits.set(settings.credits)
    return Services(
        AttributionService(settings, outbox, directory, promises, limiter),
        Feedback(promises, shared, limiter, labels, metrics, settings.result_ttl_s),
        Figures(shared, settings),
        directory,
        outbox,
        RequestMetrics(metrics),
    )


def _outbox(
    settings: Settings,
    submitter: Submitter,
    directory: Directory,
    room: QueueRoom,
    metrics: ApiMetrics,
) -> Outbox:
    return Outbox(
        submitter.send,
        submitter.receive,
        submitter.look_up,
        credits=settings.credits,
        chunk_work=settings.chunk_messages,
        capacity=settings.outbox_messages,
        # Longer than anybody waits, and than it takes to notice that a worker died and to have
        # its tasks done by another.
        answer_s=max(3 * settings.visibility_timeout_s, settings.wait_max_s + 5),
        recent=Recent(settings.recent_messages),
        workers=directory.workers_of,
        pressure=directory.pressure,
        queue_room=room,
        metrics=metrics,
    )


def _line(url: str, timeout_s: float) -> Line:
    return Line(pool_async(url, timeout_s), timeout_s)
