"""The api's composition root: what one process is made of."""

from __future__ import annotations

import gc
import os

from prometheus_client import CollectorRegistry

from api import exposition
from api.accelerator.asgi import EXPECTED, Front
from api.app import create_app
from api.attributions import Attributions
from api.feedback import Feedback
from api.figures import Figures
from api.guard import Guard
from api.keys_file import KeysFile
from api.origins import refuse_for
from api.pages import Pages
from api.served import Served
from celery_app.app import make_celery
from celery_app.client.directory import Directory
from celery_app.client.line import Line
from celery_app.client.outbox import Outbox
from celery_app.client.queue_room import QueueRoom
from celery_app.client.recent import Recent
from celery_app.client.submit import POP_S, Submitter
from celery_app.connections import REDIS_TIMEOUT_S, connect, connect_async, pool_async
from celery_app.settings import Settings
from monitoring.metrics import ApiMetrics
from monitoring.windows import LABELS, Window
from tasks.promises import Promises

#: Objects made and not yet gone before the collector looks through them. What a message takes is
#: gone once it is answered, and in no circle; hundreds under way took a twelfth of the time.
YOUNG = 20_000


def create() -> Front:
    """Build one process's application. Called by the server, in its loop's thread."""
    settings = Settings.from_environ(os.environ)
    metrics = ApiMetrics(CollectorRegistry())
    exposition.serve(settings.metrics_host, settings.api_metrics_port)
    shared = connect_async(settings.cache)
    broker = _line(settings.broker, REDIS_TIMEOUT_S)
    cache = _line(settings.cache, REDIS_TIMEOUT_S)
    room = QueueRoom(settings.promised_messages)
    directory = Directory(connect(settings.broker), connect(settings.cache), settings.here, room)
    directory.start()
    promises = Promises(
        broker.call,
        cache.call,
        settings.result_ttl_s,
        room=lambda: room.promises,
        lists=directory.lists,
    )
    replies = _line(settings.broker, 2 * POP_S)
    submitter = Submitter(make_celery(settings), broker, cache, replies, promises, room)
    outbox = Outbox(
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
    keys = None if settings.keys_file is None else KeysFile(settings.keys_file)
    if keys is not None:
        keys.start()
    guard = Guard(keys, shared)
    attributions = Attributions(settings, outbox, directory, promises, guard)
    labels = Window(LABELS, settings.feedback_window_s)
    feedback = Feedback(promises, shared, guard, labels, metrics, settings.result_ttl_s)
    figures = Figures(shared, settings)
    metrics.credits.set(settings.credits)
    others = Pages(create_app(directory, settings))
    # What was made up to here stays: looking through it for garbage took 40 ms about each second.
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
    return Front(
        attributions,
        feedback,
        figures,
        outbox=outbox,
        guard=guard,
        others=others,
        served=Served(metrics, EXPECTED),
        max_body_bytes=settings.max_body_bytes,
        refuse=refuse_for(settings),
    )


def _line(url: str, timeout_s: float) -> Line:
    return Line(pool_async(url, timeout_s), timeout_s)
