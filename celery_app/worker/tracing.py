"""Requests of a batch, each through Celery's own tracer: results, callbacks, signals, failures.

The tracer takes longer than all else that a task costs, and of an api process's task there is
nothing to see for it: nobody wants its result, nothing follows on it. Such a one goes past it.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

from billiard.einfo import ExceptionInfo
from celery import signals
from celery.app.trace import logger as tracer_log
from celery.app.trace import trace_task

from monitoring.instruments.request_ids import about
from tasks.attribute import AttributeTask
from tasks.chunk_request import ChunkRequest
from tasks.results import Attributions

#: What a client may have follow on a task that succeeds.
_FOLLOWERS = ("callbacks", "chain", "chord")
#: What the tracer tells of a task that succeeds.
_SIGNALS = (signals.task_prerun, signals.task_success, signals.task_postrun)


class Traced(NamedTuple):
    """What the tracer made of a request."""

    request: ChunkRequest
    failed: bool
    #: The failure, or a repr of the result.
    result: Any


def trace(task: AttributeTask, request: ChunkRequest) -> Traced:
    """Run ``task`` as the request asks."""
    if is_plain(request) and (outcomes := task.take(request.id)) is not None:
        return Traced(request, False, repr(Attributions(outcomes)))
    args, kwargs, embed = request.args, request.kwargs, request.embed
    context = {**request.request_dict, **embed, "args": args, "kwargs": kwargs, "is_eager": False}
    with about(request.request_ids):
        result, failure, _, shown = trace_task(
            task, request.id, args, kwargs, context, hostname=request.hostname, app=task.app
        )
    return Traced(request, True, result) if failure else Traced(request, False, shown)


def is_plain(request: ChunkRequest) -> bool:
    """Return whether the tracer would do nothing for the request that anybody could notice."""
    headers, embed = request.request_dict, request.embed
    return (
        bool(request.ignore_result)
        and not any(embed.get(name) or headers.get(name) for name in _FOLLOWERS)
        and not any(signal.receivers for signal in _SIGNALS)
        and not request.delivery_info["redelivered"]
        and not tracer_log.isEnabledFor(logging.INFO)
    )


def exception_info(error: Exception) -> ExceptionInfo:
    """Return an exception as Celery takes it, with its traceback, as one that was raised has."""
    try:
        raise error
    except type(error):
        return ExceptionInfo()
