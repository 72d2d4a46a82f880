"""The peer's front end: Flask, ``delay`` and ``AsyncResult.get``."""

from __future__ import annotations

from typing import Any

from flask import Flask, request

from bench.peers.plain_celery.app import app as celery


def create() -> Flask:
    """Return the front end."""
    app = Flask("plain")

    @app.post("/")
    def attribute() -> Any:
        text = request.get_json()["text"]
        return celery.send_task("plain.attribute", [text]).get(timeout=30)

    @app.get("/")
    def ready() -> str:
        return str(celery.send_task("plain.attribute", ["ready?"]).get(timeout=5)["confidence"])

    return app
