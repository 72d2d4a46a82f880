"""gunicorn with threads: the server without the accelerator."""

from __future__ import annotations

from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from prometheus_client.multiprocess import mark_process_dead

from api.app import create_app
from celery_app.settings import Settings
from monitoring.instruments import logs

#: Seconds after which gunicorn takes a process for hung that shows no sign of life.
HUNG_S = 60


class QuietLogger(Logger):
    """gunicorn's logger without a line for each request: a URL may hold anything."""

    def access(self, *_: object) -> None:
        """Log nothing; part of gunicorn."""


class PlainServer(BaseApplication):
    """Serves the Flask application in processes with threads."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        """Set the options; part of gunicorn's base class."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the application; gunicorn calls it in each process, after the fork."""
        app = create_app()
        app.extensions["byline"].ensure_started()
        return app


def serve(settings: Settings, backlog: int, keep_alive_s: int, graceful_timeout_s: int) -> None:
    """Serve until told to stop."""
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
        # Whose address it is, nothing here asks.
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "control_socket_disable": True,
        "logger_class": QuietLogger,
        "child_exit": lambda _, worker: mark_process_dead(worker.pid),
    }
    PlainServer(options).run()
