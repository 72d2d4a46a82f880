"""celery-exporter, in its own environment: ``python -I exporter.py [options]``.

Its package installs no command, and it has no option for the tasks that it remembers.
"""

from __future__ import annotations

from typing import Any

from celery.app.events import Events
from celery.events.state import State

#: Tasks that it remembers; Celery's own 10,000 take 50 MB. It needs those that a worker has taken
#: and not ended: what they are called is told with the first of a task's events only.
TASKS = 2000


class Recent(State):
    """What is known of the workers and of the last tasks."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **{"max_tasks_in_memory": TASKS, **named})


def main() -> None:
    """Export until it is told to stop. The broker's URL comes in the environment."""
    from src.cli import cli  # noqa: PLC0415 - is in its environment only

    Events.state_cls = Recent
    cli(auto_envvar_prefix="CE")


if __name__ == "__main__":
    main()
