"""Finds the model version that the workers serve, to be shown on the terminal."""

from __future__ import annotations

from redis import Redis, RedisError

from tasks.rollout import WorkerRegistry

_WARNING = (
    "byline: {current} is to be served, because an operator has set it, but the workers here\n"
    "        have {own}. To serve that: .venv/bin/python -m celery_app.models serve {own}"
)


def served_version(client: Redis) -> tuple[str, str]:
    """Returns two texts: the workers' model version with their device, and a warning.

    The warning is empty if a worker has the version that is to be served. Both texts are empty if
    this version is unknown.
    """
    try:
        worker_registry = WorkerRegistry(client)
        rollout, workers, _ = worker_registry.look()
        if rollout is None:
            return "", ""
        current = rollout.current
        own = next((version for version, number in workers.items() if number), current)
        announced = worker_registry.announcement(own)
    except RedisError:  # the broker was healthy a moment ago, and recovers
        return "", ""
    words = "" if workers[current] else _WARNING.format(current=current, own=own)
    return f"{own} on {announced.device}" if announced else own, words
