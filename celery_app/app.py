"""Makes Byline's Celery app from the settings: broker, result backend, queue, serializers."""

from __future__ import annotations

from ssl import CERT_REQUIRED, VerifyMode

from celery import Celery
from kombu import Queue

from celery_app.connections import REDIS_TIMEOUT_S
from celery_app.settings import Settings
from tasks.messages import QUEUE, TASK, UNACKED

#: Seconds that the result backend has to respond where it is the broker, too. Without the broker
#: there is nothing else to do, and after the wait nothing is computed twice.
ALONE_S = 20.0


def make_celery(settings: Settings) -> Celery:
    """Returns Byline's Celery app, the same for workers, clients and Celery's own commands.

    Raises:
        SettingsError: the settings have no URL of Redis.
    """
    app = Celery("byline", set_as_current=False)
    app.conf.update(
        broker_url=settings.broker.reveal(),
        broker_transport="celery_app.transport:Transport",
        # Kombu reads TLS from the URL only for its own transports, so it is set here.
        broker_use_ssl=_tls(settings.broker),
        redis_backend_use_ssl=_tls(settings.cache),
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            # Kombu's sweep for the tasks of dead workers.
            "visibility_timeout": settings.visibility_timeout_s,
            "unacked_restore_interval": max(1, settings.visibility_timeout_s // 10),
            "unacked_restore_throttle": 1,
            # Not kombu's default keys, which other apps on this Redis may use: their tasks may be
            # held for hours, and of all apps that share a sweep the shortest timeout wins.
            "unacked_key": UNACKED,
            "unacked_index_key": f"{UNACKED}:index",
            "unacked_mutex_key": f"{UNACKED}:mutex",
            # Seconds for which a worker that dies in a sweep keeps other workers from sweeping.
            "unacked_mutex_expire": 2,
            # The lists of a queue's priorities are read in order, never in turn.
            "queue_order_strategy": "priority",
            "socket_connect_timeout": REDIS_TIMEOUT_S,
            "socket_keepalive": True,
        },
        result_backend=f"celery_app.backend:CacheBackend+{settings.cache.reveal()}",
        result_expires=settings.result_ttl_s,
        redis_socket_connect_timeout=REDIS_TIMEOUT_S,
        redis_socket_timeout=ALONE_S if settings.broker == settings.cache else REDIS_TIMEOUT_S,
        task_serializer="json",
        result_serializer="json",
        accept_content=["json"],
        task_queues=[Queue(QUEUE)],
        task_default_queue=QUEUE,
        task_routes={TASK: {"queue": QUEUE}},
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )
    return app


def _tls(url: str) -> dict[str, VerifyMode] | None:
    """Returns how the server's certificate is verified; None: no TLS. The URL may overrule it."""
    return {"ssl_cert_reqs": CERT_REQUIRED} if url.startswith("rediss:") else None
