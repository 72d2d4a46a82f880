"""The Flask front end of the two Celery peers: each message becomes one task."""

from __future__ import annotations

from typing import Any

from celery import Celery, group
from flask import Flask, request

#: Seconds after which the front end gives up waiting for a result.
TIMEOUT_S = 30


def front_end(celery: Celery, task: str) -> Flask:
    """Returns a Flask front end that sends one task named ``task`` for each message.

    A bulk request becomes one Celery group. The front end waits for the results with Celery's
    ``get``.
    """
    app = Flask("peer")

    @app.post("/")
    def attribute() -> Any:
        body = request.get_json()
        if "messages" not in body:
            return celery.send_task(task, [body["text"]]).get(timeout=TIMEOUT_S)
        tasks = [celery.signature(task, [message["text"]]) for message in body["messages"]]
        return {"attributions": group(tasks, app=celery).apply_async().get(timeout=TIMEOUT_S)}

    @app.get("/")
    def ready() -> str:
        return str(celery.send_task(task, ["ready?"]).get(timeout=5)["confidence"])

    return app
