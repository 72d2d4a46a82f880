"""``/readyz`` and ``/v1/models``: how Byline is, and what it serves."""

from __future__ import annotations

from flask import Blueprint, Response
from redis import RedisError

from api.answers import answer
from api.directory import Directory
from api.schemas import Health, ModelInfo
from tasks.errors import NoModel, Unavailable


def blueprint(directory: Directory) -> Blueprint:
    """Return the endpoints."""
    routes = Blueprint("health", __name__)

    @routes.get("/readyz")
    def ready() -> Response:
        parts = _parts(directory)
        well = all(state == "ok" for state in parts.values())
        health = Health("ok" if well else "unavailable", parts)
        return answer(health, 200 if well else 503).response()

    @routes.get("/v1/models")
    def models() -> Response:
        announcement = directory.current()
        try:
            workers = directory.workers()
        except RedisError:
            raise Unavailable("the broker can't be reached") from None
        return answer(ModelInfo(announcement.card, announcement.device, workers)).response()

    return routes


def _parts(directory: Directory) -> dict[str, str]:
    """Return the state of what an answer needs, by name; ``ok`` where it is there."""
    parts = directory.check()
    try:
        parts["worker"] = "ok" if directory.workers() else "none alive"
        directory.current()
    except RedisError:
        parts["worker"] = "unknown"
    except NoModel as error:
        parts["model"] = str(error)
    return parts
