"""Byline's app for Celery's own commands, such as ``celery -A celery_app inspect`` and Flower.

No other module of Byline builds an app on import. This module must build one, because Celery's
command line needs the app as an attribute of a module.
"""

import os
from typing import Any

from celery import bootsteps

# Imported now, because later Celery takes the current folder off the import path.
import celery_app.transport.redacting  # noqa: F401
from celery_app.app import make_celery
from celery_app.settings import Settings


class RefuseStep(bootsteps.Step):
    """Ends a worker that is started with this app, which has neither model nor task."""

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        raise SystemExit(
            "byline: this app is for Celery's other commands, and its worker would fail every "
            "task; run `python -m celery_app.worker`, which takes the options of `celery worker`"
        )


app = make_celery(Settings.from_environ(os.environ))
app.conf.broker_transport = "celery_app.transport.redacting:Transport"
app.steps["worker"].add(RefuseStep)
