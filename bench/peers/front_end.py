"""The front end of the peers that are made of Celery: Flask, and results waited for one by one."""

from __future__ import annotations

from typing import Any

from celery import Celery, group
from flask import Flask, request

#: Seconds until a result that does not come is given up.
TIMEOUT_S = 30


def front_end(celery: Celery, task: str) -> Flask:
    """Returns a front end that sends a task a message, bulk requests as a group of them."""
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
