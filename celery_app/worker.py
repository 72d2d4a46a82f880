"""The worker's composition root: ``python -m celery_app.worker [options of celery worker]``."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from celery import Celery
from celery.exceptions import ImproperlyConfigured
from celery.signals import task_revoked, worker_shutdown

from celery_app.app import connect, make_celery
from celery_app.privacy import redact
from celery_app.settings import Settings, SettingsError
from celery_app.steps import EventsStep, RoomStep, announce_step, model_step
from celery_app.task import AttributeTask
from model.engine import Engine
from model.types import Model
from tasks.attribute import Attributor
from tasks.cache import AttributionCache
from tasks.messages import QUEUE, Announcement


def load_model(settings: Settings) -> Model[Any]:
    """Return an instance of the class that ``BYLINE_MODEL`` names.

    Raises:
        SettingsError: there is no such class, it can't be made, or it is no model.
    """
    module, _, name = settings.model.partition(":")
    arguments = {} if settings.model_dir is None else {"directory": settings.model_dir}
    try:
        model = getattr(importlib.import_module(module), name)(**arguments)
    except (ImportError, AttributeError, TypeError, OSError, ValueError) as error:
        place = f" with BYLINE_MODEL_DIR={settings.model_dir}" if settings.model_dir else ""
        words = f"BYLINE_MODEL={settings.model}{place} can't be loaded: {error}"
        raise SettingsError(words) from error
    if not isinstance(model, Model):
        raise SettingsError(
            f"BYLINE_MODEL={settings.model} lacks a part of the protocol model.types.Model"
        )
    return model


def build(settings: Settings, model: Model[Any]) -> Celery:
    """Return the worker's Celery app, serving ``model``."""
    redact()
    app = make_celery(settings)
    # The pool has one thread, so this is the number of tasks held: a batch of single messages.
    app.conf.worker_prefetch_multiplier = settings.batch_messages
    client = connect(settings.cache)
    engine = Engine(model, settings.device, settings.torch_threads)
    cache = AttributionCache(client, settings.result_ttl_s)
    task = app.register_task(AttributeTask(Attributor(engine, cache, settings.max_characters)))
    task_revoked.connect(task.on_revoked, sender=task, weak=False)
    app.steps["worker"].add(
        model_step(engine, task, settings.batch_messages, settings.batch_wait_ms / 1000)
    )
    app.steps["consumer"].update([EventsStep, RoomStep])
    app.steps["consumer"].add(
        announce_step(client, lambda: Announcement(asdict(model.card), str(engine.device)))
    )
    return app


def serve(app: Celery, arguments: Sequence[str]) -> int:
    """Run ``celery worker`` until it is told to stop, and return its exit status.

    Raises:
        ImproperlyConfigured: the arguments would have the model run where it must not.
    """
    status = 0

    def note(sender: Any, **_: Any) -> None:
        nonlocal status
        status = sender.exitcode or 0

    worker_shutdown.connect(note, weak=False)  # Celery's own entry point drops the status
    app.worker_main(["worker", *arguments])
    return status


def main(arguments: Sequence[str]) -> int:
    """Serve. ``arguments`` go to ``celery worker`` after our own. Returns the exit status."""
    try:
        settings = Settings.from_environ(os.environ)
        app = build(settings, load_model(settings))
        return serve(
            app,
            [
                "--pool=threads",
                "--concurrency=1",
                f"--queues={QUEUE}",
                f"--hostname={settings.worker_name}",
                f"--loglevel={settings.log_level}",
                "--task-events",
                "--without-gossip",
                "--without-mingle",
                *arguments,
            ],
        )
    except (SettingsError, ImproperlyConfigured) as error:
        print(f"byline worker: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
