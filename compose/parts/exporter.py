"""celery-exporter, in its own environment: ``python -I exporter.py TASKS [options]``.

Its package installs no command, and has no option for how many tasks it remembers.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from celery.app.events import Events
from celery.events.state import State


def recent(tasks: int) -> type[State]:
    """Returns the class of what is known of the workers, and of the last ``tasks`` tasks."""

    class Recent(State):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **{"max_tasks_in_memory": tasks, **named})

    return Recent


def main(arguments: list[str]) -> None:
    """Exports until it is told to stop. The broker's URL comes in the environment."""
    # Its tracebacks would show local variables: events, which hold texts, and the password.
    os.environ["LOGURU_DIAGNOSE"] = "NO"
    from src.cli import cli  # noqa: PLC0415 - is in its environment only

    tasks, *options = arguments
    Events.state_cls = recent(int(tasks))
    cli(options, auto_envvar_prefix="CE")


if __name__ == "__main__":
    main(sys.argv[1:])
