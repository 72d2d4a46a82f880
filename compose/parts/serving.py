"""Tells people which model version the workers serve."""

from __future__ import annotations

from redis import Redis, RedisError

from tasks.rollout import WorkerRegistry

_ASIDE = (
    "byline: {current} is to be served, as somebody has said, and the workers here have {own}.\n"
    "        To serve that: .venv/bin/python -m celery_app.models serve {own}"
)


def served(client: Redis) -> tuple[str, str]:
    """Returns the version the workers serve, and a warning where another is to be served."""
    try:
        worker_registry = WorkerRegistry(client)
        rollout, workers, _ = worker_registry.look()
        if rollout is None:
            return "", ""
        current = rollout.current
        own = next((version for version, number in workers.items() if number), current)
        announced = worker_registry.announcement(own)
    except RedisError:  # it was well a moment ago, and will be
        return "", ""
    words = "" if workers[current] else _ASIDE.format(current=current, own=own)
    return f"{own} on {announced.device}" if announced else own, words
