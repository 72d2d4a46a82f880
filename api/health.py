"""``/readyz`` and ``/v1/models``: how Byline is, and what it serves."""

from __future__ import annotations

from flask import Blueprint, Response, request

from api.answers import answer
from api.query import parse_query
from api.schemas import Health, ModelInfo, VersionInfo
from celery_app.client.directory import Directory
from tasks.errors import BrokerUnavailable, NoModel


def blueprint(directory: Directory) -> Blueprint:
    """Return the endpoints."""
    routes = Blueprint("health", __name__)

    @routes.get("/readyz")
    def ready() -> Response:
        parts = _parts(directory)
        # Without the cache, messages are computed all the same.
        well = all(state == "ok" for name, state in parts.items() if name != "cache")
        health = Health("ok" if well else "unavailable", parts)
        return answer(health, 200 if well else 503).response()

    @routes.get("/v1/models")
    def models() -> Response:
        parse_query(request.query_string, ())
        announcement, workers = directory.current(), directory.workers()
        if workers is None:
            raise BrokerUnavailable("the broker can't be reached")
        versions = [
            VersionInfo(version, directory.workers_of(version), round(share, 6))
            for version, share in directory.versions().items()
        ]
        info = ModelInfo(announcement.card, announcement.device, workers, versions)
        return answer(info).response()

    return routes


def _parts(directory: Directory) -> dict[str, str]:
    """Return the state of what an answer needs, by name; ``ok`` where it is there."""
    workers = directory.workers()
    worker = "unknown" if workers is None else "ok" if workers else "none alive"
    parts = {**directory.states(), "worker": worker}
    try:
        directory.current()
    except NoModel as error:
        parts["model"] = str(error)
    return parts
