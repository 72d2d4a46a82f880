"""The api's composition root: ``gunicorn -c python:api.gunicorn_config api.wsgi:create()``."""

from __future__ import annotations

import os

from flask import Flask

from api.app import create_app
from api.attributions import Attributions
from api.directory import Directory
from api.outbox import Outbox
from api.submit import POP_S, Submitter
from celery_app.app import REDIS_TIMEOUT_S, connect, make_celery
from celery_app.settings import Settings
from tasks.cache import AttributionCache


def create() -> Flask:
    """Build one process's api and start its outbox. Called by gunicorn, after the fork."""
    settings = Settings.from_environ(os.environ)
    celery = make_celery(settings)
    # A publisher never blocks on a pop, so a broker that stopped answering is noticed.
    celery.conf.broker_transport_options["socket_timeout"] = REDIS_TIMEOUT_S
    client = connect(settings.cache)
    cache = AttributionCache(client, settings.result_ttl_s)
    submitter = Submitter(celery, connect(settings.cache, timeout_s=2 * POP_S))
    outbox = Outbox(
        submitter.send,
        submitter.receive,
        cache,
        credits=settings.credits,
        chunk_messages=settings.chunk_messages,
        capacity=settings.outbox_messages,
        # Longer than anybody waits, and than it takes to notice that a worker died and to have
        # its tasks done by another.
        answer_s=max(3 * settings.visibility_timeout_s, settings.wait_max_s + 5),
    )
    outbox.start()
    directory = Directory(client, connect(settings.broker))
    return create_app(settings, Attributions(settings, outbox, directory, cache), directory)
