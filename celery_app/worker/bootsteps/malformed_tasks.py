"""A bootstep for tasks that Celery can't use: they become dead letters, and are not logged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from celery import bootsteps
from celery.worker.consumer.tasks import Tasks

from tasks.malformed import Malformed, check_headers, kind_of


class MalformedStep(bootsteps.StartStopStep):
    """Makes Celery's consumer raise ``Malformed`` for a task with unusable headers or body.

    The transport turns this error into a dead letter. Celery's own consumer would log the whole
    task with its texts, and may drop the task.
    """

    requires = (Tasks,)

    def start(self, consumer: Any) -> None:
        """Replaces the functions with which Celery's consumer handles malformed tasks."""
        consumer.on_unknown_message = _refuse_unknown
        consumer.on_invalid_task = _refuse_invalid
        consumer.on_unknown_task = _checking_headers(
            type(consumer).on_unknown_task.__get__(consumer)
        )
        consumer.on_decode_error = consumer.task_consumer.on_decode_error = _refuse_body


def _checking_headers(refuse: Callable[[Any, Any, Exception], None]) -> Callable[..., None]:
    """Returns a function that checks a task's headers, and then calls ``refuse``.

    ``refuse`` is Celery's ``on_unknown_task``. It marks a task with an unknown name as failed, and
    needs the task id in the headers. The check raises ``Malformed`` if, for example, the id is
    missing.
    """

    def checked(body: Any, message: Any, error: Exception) -> None:
        check_headers(message.headers)
        refuse(body, message, error)

    return checked


def _refuse_unknown(_body: Any, _message: Any) -> NoReturn:
    """Raises ``Malformed``, in the place of Celery's handler ``on_unknown_message``."""
    raise Malformed("no task name")


def _refuse_invalid(_body: Any, _message: Any, error: Exception) -> NoReturn:
    """Raises ``Malformed``, in the place of Celery's handler ``on_invalid_task``."""
    kind = kind_of(error)
    raise Malformed("wrong header" if kind == "other" else kind)


def _refuse_body(_message: Any, error: Exception) -> NoReturn:
    """Raises ``Malformed``, in the place of Celery's and kombu's handlers ``on_decode_error``."""
    raise error if isinstance(error, Malformed) else Malformed("unreadable body")
