"""Makes Byline's Celery app from the settings: broker, result backend, queue, serializers."""

from __future__ import annotations

from ssl import CERT_REQUIRED, VerifyMode

from celery import Celery
from kombu import Queue

from celery_app.connections import REDIS_TIMEOUT_S
from celery_app.settings import Settings
from tasks.messages import QUEUE, TASK, UNACKED

#: Seconds for which the result backend waits for a Redis that is also the broker. Without the
#: broker, a worker can do nothing but wait. If Redis is back within this time, the worker stores
#: its results, and no message is computed twice.
SHARED_REDIS_TIMEOUT_S = 20.0


def make_celery(settings: Settings) -> Celery:
    """Returns a Celery app with Byline's settings, for workers, clients and Celery's own commands.

    Raises:
        SettingsError: the settings do not have the URL of the broker.
    """
    app = Celery("byline", set_as_current=False)
    app.conf.update(
        broker_url=settings.broker.reveal(),
        broker_transport="celery_app.transport:Transport",
        # Kombu reads TLS from the URL only for its own transports, so this setting is needed.
        broker_use_ssl=_tls(settings.broker),
        redis_backend_use_ssl=_tls(settings.cache),
        broker_connection_retry_on_startup=True,
        broker_transport_options={
            # Kombu's sweep returns the tasks of dead workers after this time.
            "visibility_timeout": settings.visibility_timeout_s,
            "unacked_restore_interval": max(1, settings.visibility_timeout_s // 10),
            "unacked_restore_throttle": 1,
            # Byline has keys of its own. Other apps on this Redis may use kombu's default keys, and
            # may hold tasks for hours. If apps share keys, each app sweeps the tasks of all apps,
            # after the shortest visibility timeout among the apps.
            "unacked_key": UNACKED,
            "unacked_index_key": f"{UNACKED}:index",
            "unacked_mutex_key": f"{UNACKED}:mutex",
            # If a worker dies during a sweep, no other worker can sweep for this many seconds.
            "unacked_mutex_expire": 2,
            # A worker reads the lists of a queue from the highest priority down, not in rotation.
            "queue_order_strategy": "priority",
            "socket_connect_timeout": REDIS_TIMEOUT_S,
            "socket_keepalive": True,
        },
        result_backend=f"celery_app.backend:CacheBackend+{settings.cache.reveal()}",
        result_expires=settings.result_ttl_s,
        redis_socket_connect_timeout=REDIS_TIMEOUT_S,
        redis_socket_timeout=(
            SHARED_REDIS_TIMEOUT_S if settings.broker == settings.cache else REDIS_TIMEOUT_S
        ),
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
    """Returns kombu's option to verify the certificate of the Redis server at ``url``.

    Returns None if the URL does not begin with ``rediss:``, the scheme for TLS. A TLS parameter in
    the URL takes precedence over this option.
    """
    return {"ssl_cert_reqs": CERT_REQUIRED} if url.startswith("rediss:") else None
