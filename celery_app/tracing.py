"""Requests of a batch, each through Celery's own tracer: results, callbacks, signals, failures."""

from __future__ import annotations

from typing import Any, NamedTuple

from billiard.einfo import ExceptionInfo
from celery.app.trace import trace_task

from celery_app.task import AttributeTask, ChunkRequest


class Traced(NamedTuple):
    """What the tracer made of a request."""

    request: ChunkRequest
    failed: bool
    #: The failure, or a repr of the result.
    result: Any


def trace(task: AttributeTask, request: ChunkRequest) -> Traced:
    """Run ``task`` as the request asks."""
    args, kwargs, embed = request.args, request.kwargs, request.embed
    context = {**request.request_dict, **embed, "args": args, "kwargs": kwargs, "is_eager": False}
    result, failure, _, shown = trace_task(
        task, request.id, args, kwargs, context, hostname=request.hostname, app=task.app
    )
    return Traced(request, True, result) if failure else Traced(request, False, shown)


def exception_info(error: Exception) -> ExceptionInfo:
    """Return an exception as Celery takes it, with its traceback, as one that was raised has."""
    try:
        raise error
    except type(error):
        return ExceptionInfo()
