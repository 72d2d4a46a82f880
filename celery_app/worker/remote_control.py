"""Makes a worker refuse some of Celery's remote control commands, which do not suit Byline.

These commands change the pool or limit a task. In Byline, such a command would break the worker, or
report a success and change nothing. The reply gives the reason for the refusal.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.worker.control import control_command

_POOL = (
    "a worker has one thread, because one thread must own the model; to compute more at once, "
    "start more workers (BYLINE_WORKERS)"
)
#: The commands that are refused, with the reason for each. All other commands work.
REFUSED = {
    "autoscale": _POOL,
    "pool_grow": _POOL,
    "pool_shrink": _POOL,
    "pool_restart": (
        "the pool's one thread owns the model, and can't be replaced while the worker runs; shut "
        "the worker down, and start it again: it finishes its batch, and other tasks wait"
    ),
    "rate_limit": (
        "a task holds one message or hundreds, and a batch many tasks, so a limit of tasks limits "
        "nothing; the file of API keys has a limit of messages a second for each key"
    ),
    "time_limit": (
        "a thread can't be interrupted; the worker ends if the model takes longer than "
        "BYLINE_BATCH_TIMEOUT_S, and a message may have a deadline (deadline_ms)"
    ),
}


def refuse_commands() -> None:
    """Replaces some of Celery's commands by refusals, for all workers of this process."""
    for name, reason in REFUSED.items():
        control_command(name=name, help=f"Refused: {reason}.")(partial(_refuse, reason))


def _refuse(reason: str, *_: Any, **__: Any) -> dict[str, str]:
    return {"error": reason}
