"""Builds a client from the settings."""

from __future__ import annotations

from celery_app.app import make_celery
from celery_app.client.client import Client
from celery_app.client.dispatch.local_cache import LocalCache
from celery_app.client.dispatcher import Dispatcher
from celery_app.client.redis.model_registry import ModelRegistry
from celery_app.client.redis.publisher import POP_S, Publisher
from celery_app.client.redis.queue_capacity import QueueCapacity
from celery_app.client.redis.redis_connection import RedisConnection
from celery_app.connections import REDIS_TIMEOUT_S, connect, pool_async
from celery_app.settings import Settings
from monitoring.instruments.metrics import ApiMetrics
from tasks.storage.pending_results import PendingResults


def build_client(settings: Settings, metrics: ApiMetrics) -> Client:
    """Build a client in its event loop's thread, and start the threads that look at Redis."""
    room = QueueCapacity(settings.max_pending_results)
    model_registry = ModelRegistry(
        connect(settings.broker), connect(settings.cache), settings.here, room
    )
    model_registry.start()
    broker = _connection_to(settings.broker, REDIS_TIMEOUT_S)
    cache = _connection_to(settings.cache, REDIS_TIMEOUT_S)
    pending_results = PendingResults(
        broker.call,
        cache.call,
        settings.result_ttl_s,
        room=lambda: room.pending_results,
        lists=model_registry.lists,
    )
    replies = _connection_to(settings.broker, 2 * POP_S)
    publisher = Publisher(make_celery(settings), broker, cache, replies, pending_results, room)
    dispatcher = Dispatcher(
        publisher.send,
        publisher.receive,
        publisher.look_up,
        credits=settings.credits,
        chunk_work=settings.chunk_messages,
        capacity=settings.dispatcher_messages,
        # Longer than anybody waits, and than it takes to notice that a worker died and to have
        # its tasks done by another.
        answer_s=max(3 * settings.visibility_timeout_s, settings.wait_max_s + 5),
        local_cache=LocalCache(settings.local_cache_messages),
        workers=model_registry.workers_of,
        pressure=model_registry.pressure,
        queue_capacity=room,
        metrics=metrics,
    )
    metrics.credits.set(settings.credits)
    return Client(settings, dispatcher, model_registry, pending_results)


def _connection_to(url: str, timeout_s: float) -> RedisConnection:
    return RedisConnection(pool_async(url, timeout_s), timeout_s)
