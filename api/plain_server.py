"""Serves the API with gunicorn and threads, if the setting ``BYLINE_ACCELERATOR`` is ``off``."""

from __future__ import annotations

import sys
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.base import Worker
from prometheus_client.multiprocess import mark_process_dead

from api.app import create_app
from celery_app import garbage
from celery_app.cpu_pins import CpuPins
from celery_app.settings import Settings
from monitoring.instruments import logs

#: Seconds without a heartbeat after which gunicorn treats a process as hung, and kills it.
HUNG_S = 60


class QuietLogger(Logger):
    """gunicorn's logger without an access log: a URL may hold private data."""

    def access(self, *_: object) -> None:
        """Logs nothing. gunicorn calls this method for each request."""


class PlainServer(BaseApplication):
    """Runs gunicorn with the Flask application: several processes, each with several threads."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        """Passes the options to gunicorn; called by gunicorn."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Returns the Flask application; called by gunicorn in each process, after the fork."""
        app = create_app()
        app.extensions["byline"].ensure_started()
        garbage.freeze_and_search_seldom()
        return app


def serve(settings: Settings, backlog: int, keep_alive_s: int, graceful_timeout_s: int) -> None:
    """Serves the API until the process gets a signal to stop. Durations are in seconds."""
    host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
    options = {
        "bind": f"{host}:{settings.api_port}",
        "worker_class": "gthread",
        "workers": settings.api_processes,
        "threads": settings.api_threads,
        "backlog": backlog,
        "keepalive": keep_alive_s,
        "graceful_timeout": graceful_timeout_s,
        "timeout": HUNG_S,
        "loglevel": settings.log_level.lower(),
        "logconfig_dict": logs.configuration("api", settings.log_level, settings.log_format),
        # Byline does not use the client's address, so gunicorn trusts no header that names it.
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "control_socket_disable": True,
        "logger_class": QuietLogger,
    }
    pins = CpuPins() if settings.api_pinned == "on" and sys.platform == "linux" else None

    def child_exit(_: object, worker: Worker) -> None:
        mark_process_dead(worker.pid)
        if pins is not None:
            pins.release(worker)

    if pins is not None:
        options["pre_fork"] = lambda _, worker: pins.choose(worker)
        options["post_fork"] = lambda _, worker: pins.pin(worker)
    PlainServer({**options, "child_exit": child_exit}).run()
