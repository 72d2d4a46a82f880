"""Runs the requests of a batch through Celery's tracer, except plain requests.

The tracer runs a task, stores its result, and sends callbacks and signals. For a *plain* request,
for example from an api process, the tracer would store and send nothing.
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

#: Fields of a request that hold the tasks to send after it succeeds.
_FOLLOWERS = ("callbacks", "chain", "chord")
#: Signals that the tracer sends for a task that succeeds.
_SIGNALS = (signals.task_prerun, signals.task_success, signals.task_postrun)


class Traced(NamedTuple):
    """A request that has run, and its result or failure."""

    request: ChunkRequest
    failed: bool
    #: Celery's exception info of the failure, or the repr of the result.
    result: Any


def trace(task: AttributeTask, request: ChunkRequest) -> Traced:
    """Runs ``task`` for the request. Returns the request with its result or failure.

    The result consists of the outcomes that the batch has already computed.
    """
    # The tracer takes longer than all other steps of a task, so a plain request bypasses it.
    if is_plain(request) and (outcomes := task.take(request.id)) is not None:
        return Traced(request, False, repr(Attributions(outcomes)))
    args, kwargs, embed = request.args, request.kwargs, request.embed
    context = {**request.request_dict, **embed, "args": args, "kwargs": kwargs, "is_eager": False}
    with about(request.request_ids):
        result, failure, _, result_repr = trace_task(
            task, request.id, args, kwargs, context, hostname=request.hostname, app=task.app
        )
    return Traced(request, True, result) if failure else Traced(request, False, result_repr)


def is_plain(request: ChunkRequest) -> bool:
    """Returns whether Celery's tracer would store, send and log nothing for the request."""
    headers, embed = request.request_dict, request.embed
    return (
        bool(request.ignore_result)
        and not any(embed.get(name) or headers.get(name) for name in _FOLLOWERS)
        and not any(signal.receivers for signal in _SIGNALS)
        and not request.delivery_info["redelivered"]
        and not tracer_log.isEnabledFor(logging.INFO)
    )


def exception_info(error: Exception) -> ExceptionInfo:
    """Returns an exception as Celery's ``ExceptionInfo``, with a traceback."""
    try:
        raise error
    except type(error):
        return ExceptionInfo()
