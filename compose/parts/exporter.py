"""Starts celery-exporter: ``python -I exporter.py TASKS [options]``.

celery-exporter remembers ``TASKS`` tasks. This module is needed because celery-exporter's package
has no option for this number, and installs no command. ``python`` is the Python of
celery-exporter's own virtual environment.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from celery.app.events import Events
from celery.events.state import State


def bounded_state(tasks: int) -> type[State]:
    """Returns a class of Celery's event state that remembers only the last ``tasks`` tasks."""

    class BoundedState(State):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **{"max_tasks_in_memory": tasks, **named})

    return BoundedState


def main(arguments: list[str]) -> None:
    """Runs celery-exporter until a signal stops it.

    The first argument is the number of tasks to remember. celery-exporter gets the other arguments,
    and reads the broker's URL from the environment variable CE_BROKER_URL.
    """
    # Otherwise tracebacks would show local variables: the password, and events, which hold texts.
    os.environ["LOGURU_DIAGNOSE"] = "NO"
    from src.cli import cli  # noqa: PLC0415 - installed only in the exporter's environment

    tasks, *options = arguments
    Events.state_cls = bounded_state(int(tasks))
    cli(options, auto_envvar_prefix="CE")


if __name__ == "__main__":
    main(sys.argv[1:])
