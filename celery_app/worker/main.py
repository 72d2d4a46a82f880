"""A worker: ``python -m celery_app.worker [options of celery worker]``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from celery import Celery
from celery.bin.base import CLIContext
from celery.bin.worker import worker
from celery.exceptions import ImproperlyConfigured

from celery_app.settings import Settings, SettingsError
from celery_app.worker.worker_log import set_up
from model.serving import metal, processor


def serve(app: Celery, settings: Settings, arguments: Sequence[str]) -> int:
    """Run ``celery worker`` until it is told to stop, and return its exit status.

    ``arguments`` go to it after our own.

    Raises:
        ImproperlyConfigured: the arguments would have the model run where it must not.
    """
    options = (
        "--pool=threads",
        "--concurrency=1",
        f"--hostname={settings.worker_name}",
        f"--loglevel={settings.log_level}",
        "--task-events",
        "--without-gossip",
        "--without-mingle",
    )
    app.set_current()
    set_up(settings.log_format)
    # Celery prints what it starts with, which is no JSON.
    quiet = settings.log_format == "json"
    context = CLIContext(app, bool(os.environ.get("NO_COLOR")), workdir=None, quiet=quiet)
    try:
        # This command alone: with all of Celery's come their plug-ins, of which Flower is one, and
        # ten megabytes.
        worker.main([*options, *arguments], prog_name="celery worker", obj=context)
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def main(arguments: Sequence[str]) -> int:
    """Serve as the environment says. Returns the exit status."""
    try:
        settings = Settings.from_environ(os.environ)
        # Celery's debugger, which SIGUSR2 would start, lets in everybody on this machine.
        os.environ.pop("CELERY_RDBSIG", None)
        os.environ.update(metal.environment(settings.mps_memory / settings.workers))
        for name, value in processor.environment().items():
            os.environ.setdefault(name, value)
        # The tokenizer's threads, as torch's: an equal share of the cores.
        cores = max(1, (os.cpu_count() or 1) // settings.workers)
        os.environ.setdefault("RAYON_NUM_THREADS", str(cores))
        # Not before: it imports torch and numpy, which read the environment only then.
        from celery_app.worker.factory import build, load_model  # noqa: PLC0415

        return serve(build(settings, load_model(settings)), settings, arguments)
    except (SettingsError, ImproperlyConfigured) as error:
        print(f"byline worker: {error}", file=sys.stderr)
        return 2
