"""gunicorn with threads: the server without the accelerator."""

from __future__ import annotations

from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from api.app import create_app
from celery_app.settings import Settings
from monitoring import logs

#: Seconds after which gunicorn takes a process for hung that shows no sign of life.
HUNG_S = 60


class PlainServer(BaseApplication):
    """Serves the Flask application in processes with threads, until told to stop."""

    def __init__(self, settings: Settings, options: dict[str, Any]) -> None:
        """``options`` are gunicorn's, by their names, and come after those of the settings."""
        host = f"[{settings.api_host}]" if ":" in settings.api_host else settings.api_host
        self._options: dict[str, Any] = {
            "bind": f"{host}:{settings.api_port}",
            "worker_class": "gthread",
            "workers": settings.api_processes,
            "threads": settings.api_threads,
            "timeout": HUNG_S,
            "loglevel": settings.log_level.lower(),
            "logconfig_dict": logs.configuration("api", settings.log_level, settings.log_format),
            # Whose address it is, nothing here asks.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "control_socket_disable": True,
            **options,
        }
        super().__init__()

    def load_config(self) -> None:
        """Set the options; part of gunicorn's base class."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Return the application; gunicorn calls it in each process, after the fork."""
        return create_app()


def serve(settings: Settings, options: dict[str, Any]) -> None:
    """Serve until told to stop. ``options`` are gunicorn's."""
    PlainServer(settings, options).run()
