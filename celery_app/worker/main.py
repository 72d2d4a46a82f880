"""Starts a worker with the settings of the environment; see ``celery_app.worker.__main__``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from celery import Celery
from celery.bin.base import CLIContext
from celery.bin.worker import worker
from celery.exceptions import ImproperlyConfigured

from celery_app.settings import Settings, SettingsError
from celery_app.worker.logs.worker_log import set_up
from model.serving import metal, numpy_cpu_features
from monitoring.instruments import tracing


def serve(app: Celery, settings: Settings, arguments: Sequence[str]) -> int:
    """Runs ``celery worker`` until it ends, and returns its exit status.

    ``arguments`` are further options of ``celery worker``. They follow the options that Byline
    itself sets.

    Raises:
        ImproperlyConfigured: the arguments ask for a pool that is unsafe for the model.
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
    # Celery prints a banner at start, which is no JSON.
    quiet = settings.log_format == "json"
    context = CLIContext(app, bool(os.environ.get("NO_COLOR")), workdir=None, quiet=quiet)
    try:
        # Only this command is imported. Importing all of Celery's commands would load plug-ins,
        # such as Flower, which take ten megabytes.
        worker.main([*options, *arguments], prog_name="celery worker", obj=context)
    except SystemExit as exit_:
        return int(exit_.code or 0)
    return 0


def main(arguments: Sequence[str]) -> int:
    """Runs a worker with the settings of the environment until it ends. Returns the exit status."""
    try:
        settings = Settings.from_environ(os.environ)
        settings.check_packages()
        # SIGUSR2 would start Celery's debugger, which any user of this machine could connect to.
        os.environ.pop("CELERY_RDBSIG", None)
        os.environ.update(metal.environment(settings.mps_memory / settings.workers))
        for name, value in numpy_cpu_features.environment().items():
            os.environ.setdefault(name, value)
        # The tokenizer gets an equal share of the cores, as torch does.
        cores = max(1, (os.cpu_count() or 1) // settings.workers)
        os.environ.setdefault("RAYON_NUM_THREADS", str(cores))
        # Imported here, since torch and numpy read the environment when they are imported.
        from celery_app.worker.factory import build, load_model  # noqa: PLC0415

        if settings.tracing == "on":
            tracing.start("byline-worker")
        return serve(build(settings, load_model(settings)), settings, arguments)
    except (SettingsError, ImproperlyConfigured) as error:
        print(f"byline worker: {error}", file=sys.stderr)
        return 2
