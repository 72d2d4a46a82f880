"""Builds, from the settings, the client with which Flask and the library send messages."""

from __future__ import annotations

from celery_app.app import make_celery
from celery_app.client.attribution_client import AttributionClient
from celery_app.client.dispatch.limits import DispatchLimits
from celery_app.client.dispatch.local_cache import LocalCache
from celery_app.client.dispatcher import Dispatcher
from celery_app.client.redis.model_registry import ModelRegistry
from celery_app.client.redis.publisher import POP_S, Publisher
from celery_app.client.redis.queue_capacity import QueueCapacity
from celery_app.client.redis.result_store import ResultStore
from celery_app.connections import connect, connect_async, connect_once
from celery_app.settings import Settings
from monitoring.instruments import tracing
from monitoring.instruments.metrics import ApiMetrics
from tasks.storage.pending_results import PendingResults

#: Smallest default of the chunks that a process has in flight, with and without the accelerator.
#: With the accelerator, a second chunk is on its way while a worker computes the first, even if one
#: process has all the load. Without the accelerator, two processes answered a tenth more messages a
#: second with one chunk each than with two.
FEWEST_CREDITS = {"on": 2, "off": 1}
#: Shortest time from the end of a caller's longest wait until a chunk is given up, in seconds.
BEYOND_WAIT_S = 5


def build_client(settings: Settings, metrics: ApiMetrics) -> AttributionClient:
    """Builds a client, and starts the threads that check the broker and the cache.

    Call this function in the event loop's thread, and then start the client's dispatcher. The call
    blocks until the broker and the cache have been checked once.
    """
    client = make_client(settings, metrics)
    client.model_registry.start()
    return client


def make_client(settings: Settings, metrics: ApiMetrics) -> AttributionClient:
    """Builds a client, and starts none of its parts. Call this in the event loop's thread.

    Raises:
        SettingsError: the settings have no URL of Redis, or need a package that is not installed.
    """
    settings.check_packages()
    if settings.tracing == "on":
        tracing.start()
    queue_capacity = QueueCapacity(settings.max_pending_results)
    model_registry = ModelRegistry(
        connect(settings.broker), connect(settings.cache), settings.here, queue_capacity
    )
    broker = connect_async(settings.broker)
    cache = connect_async(settings.cache)
    # Each of these sends one command at a time.
    sender, look_ups = connect_once(settings.broker), connect_once(settings.cache)
    replies = connect_once(settings.broker, 2 * POP_S)
    pending_results = PendingResults(
        broker.execute_command,
        cache.execute_command,
        settings.result_ttl_s,
        max_results=lambda: queue_capacity.pending_results,
        lists=model_registry.lists,
    )
    dispatcher = Dispatcher(
        Publisher(make_celery(settings), sender, replies, pending_results, queue_capacity),
        ResultStore(look_ups),
        model_registry,
        queue_capacity,
        LocalCache(settings.local_cache_messages),
        limits_of(settings),
        metrics,
    )
    return AttributionClient(
        settings,
        dispatcher,
        model_registry,
        pending_results,
        (broker, cache, sender, look_ups, replies),
    )


def limits_of(settings: Settings) -> DispatchLimits:
    """Returns the limits of a dispatcher, from the settings."""
    # The dispatcher gives up a chunk without a reply after this time. The time is longer than the
    # longest wait that a request may ask for, and long enough for another worker to take over the
    # chunk of a worker that died.
    answer_s = max(3 * settings.visibility_timeout_s, settings.wait_max_s + BEYOND_WAIT_S)
    return DispatchLimits(
        settings.credits,
        FEWEST_CREDITS[settings.accelerator],
        settings.api_processes,
        settings.chunk_messages,
        settings.dispatcher_messages,
        answer_s,
    )
