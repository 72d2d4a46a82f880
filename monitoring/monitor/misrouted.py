"""Finds Byline's tasks in Celery's default queue, which no worker of Byline reads.

Clients that name no queue send their tasks there, and get no error. The tasks wait for ever, or
fail in another application's worker.
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

#: The queue of a Celery app that sets no queue.
DEFAULT_QUEUE = "celery"
#: Maximum number of tasks of each list that are searched.
MAX_TASKS = 100
#: Number of bytes of each list after which the search ends. A task may have megabytes.
MAX_BYTES = 1_000_000
#: The name of Byline's task in quotation marks, as in a task's headers. The body of a task can't
#: contain this text, because bodies are in base64.
NAME = f'"{TASK}"'

LINE = (
    f"tasks {TASK} wait in the queue {DEFAULT_QUEUE!r}, which no worker of Byline reads: their "
    "sender names no queue, see docs/how-to/celery.md"
)

_SCRIPT = read_script(Path(__file__).with_name("misrouted.lua"))


def look(broker: Redis) -> int:
    """Counts Byline's tasks in Celery's default queue, and logs a warning if there are any.

    The queue has a Redis list for each priority. Searches at most the newest :data:`MAX_TASKS`
    tasks of each list. Returns the count; 0 if Redis refuses the search.
    """
    keys = lists(DEFAULT_QUEUE)
    try:
        found: Any = broker.eval(_SCRIPT, len(keys), *keys, NAME, MAX_TASKS, MAX_BYTES)
    except ResponseError:  # no permission, or another program's key of this name is no list
        return 0
    if found:
        log_once(logger, logging.WARNING, LINE)
    return int(found)
