"""Finds Byline's tasks in Celery's default queue, which no worker of Byline reads.

A Celery client that names no queue sends its tasks to the default queue. Celery reports no error to
the client. The task then waits for ever, or a worker of another application takes the task and
fails it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from redis import Redis, ResponseError

from monitoring.instruments.log_once import log_once
from tasks.messages import TASK
from tasks.rollout import lists
from tasks.storage.lua_scripts import read_script

logger = logging.getLogger(__name__)

#: The queue of a Celery app that sets none.
DEFAULT_QUEUE = "celery"
#: Tasks of each list that are looked at.
MAX_TASKS = 100
#: Bytes of each list that are looked at, roughly. A task may have megabytes.
MAX_BYTES = 1_000_000
#: The task's name as a header has it. A body can't hold it, since bodies are in base64.
NAME = f'"{TASK}"'

LINE = (
    f"tasks {TASK} wait in the queue {DEFAULT_QUEUE!r}, which no worker of Byline reads: their "
    "sender names no queue, see docs/how-to/celery.md"
)

_SCRIPT = read_script(Path(__file__).with_name("misrouted.lua"))


def look(broker: Redis) -> int:
    """Counts Byline's tasks in Celery's default queue, and logs a warning if there are any.

    Looks only at the newest tasks, :data:`MAX_TASKS` of each list at most. Returns the number of
    tasks; 0 if this Redis does not let Byline read the queue.
    """
    keys = lists(DEFAULT_QUEUE)
    try:
        found: Any = broker.eval(_SCRIPT, len(keys), *keys, NAME, MAX_TASKS, MAX_BYTES)
    except ResponseError:  # no permission, or another program's key of this name is no list
        return 0
    if found:
        log_once(logger, logging.WARNING, LINE)
    return int(found)
