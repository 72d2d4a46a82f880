"""Finds tasks that Celery can't use, and makes dead letters of them, so that workers go on."""

from __future__ import annotations

import binascii
import json
import logging
from typing import Any

import msgspec
from kombu.exceptions import ContentDisallowed, DecodeError, OperationalError
from redis import DataError, RedisError

from monitoring.instruments.log_once import log_once
from monitoring.instruments.metrics import WorkerMetrics
from tasks.cooldown import Cooldown
from tasks.storage.dead_letters import DeadLetters
from tasks.storage.wrong_type import is_wrong_type

logger = logging.getLogger(__name__)

#: Seconds for which no dead letter is stored after a failed attempt. The pause is needed because
#: Celery's loop waits for each attempt.
COOLDOWN_S = 5.0

#: Kinds of malformed tasks by the error that reading the task raises. The first match counts.
_KINDS: tuple[tuple[type[Exception], str], ...] = (
    (RecursionError, "nested too deeply"),
    (UnicodeError, "not UTF-8"),
    (DecodeError, "unreadable body"),
    (ContentDisallowed, "unreadable body"),
    (binascii.Error, "unreadable body"),
    (json.JSONDecodeError, "not JSON"),
)


class Malformed(Exception):
    """A task can't be read. ``str(error)`` is the kind of fault, one of ``metrics.MALFORMED``."""


class _Headers(msgspec.Struct):
    """The types of the task headers that Celery reads, except dates, which Celery itself checks."""

    id: str
    task: str
    root_id: str | None = None
    parent_id: str | None = None
    group: str | None = None
    shadow: str | None = None
    retries: int | None = None
    timelimit: tuple[float | None, float | None] | None = None
    ignore_result: bool | None = None
    stamped_headers: list[str] | None = None
    stamps: dict[str, Any] | None = None
    replaced_task_nesting: int | None = None


class _Embedded(msgspec.Struct):
    """The callbacks, errbacks, chain and chord that a task's body carries."""

    callbacks: list[dict[str, Any]] | None = None
    errbacks: list[dict[str, Any]] | None = None
    chain: list[dict[str, Any]] | None = None
    chord: dict[str, Any] | None = None


def check_headers(headers: Any) -> None:
    """Checks that Celery can use the headers of a task. Raises ``Malformed``."""
    try:
        if not msgspec.convert(headers, _Headers).id.encode():
            raise Malformed("no id")  # Celery's backend stores no result under an empty id
    except msgspec.ValidationError:
        id = headers.get("id") if isinstance(headers, dict) else None
        raise Malformed("wrong header" if isinstance(id, str) else "no id") from None
    except UnicodeEncodeError:
        raise Malformed("no id") from None


def check_payload(args: Any, kwargs: Any, embedded: Any) -> None:
    """Checks that Celery can use the body of a task. Raises ``Malformed``."""
    try:
        if not (isinstance(args, list | tuple) and isinstance(kwargs, dict)):
            raise Malformed("wrong arguments")
        msgspec.convert(embedded or {}, _Embedded)
    except msgspec.ValidationError:
        raise Malformed("wrong arguments") from None


def kind_of(error: Exception) -> str:
    """Returns the kind of a task's fault. ``error`` was raised by an attempt to read the task."""
    if isinstance(error, Malformed):
        return str(error)
    return next((kind for known, kind in _KINDS if isinstance(error, known)), "other")


def is_of_server(error: Exception) -> bool:
    """Returns whether Redis or the machine caused an error. If not, the task caused the error.

    If a Redis key holds a wrong type, or a value can't be sent to Redis, the task counts as the
    cause.
    """
    # Every attempt raises the same error.
    if isinstance(error, DataError) or is_wrong_type(error):
        return False
    # A lack of file descriptors, an ``OSError``, is a fault of the machine.
    return isinstance(error, RedisError | OperationalError | OSError)


class MalformedTaskRecorder:
    """Counts malformed tasks, logs each kind of fault, and stores the tasks as dead letters.

    The transport calls the recorder, which it gets with Celery's ``broker_transport_options``.
    """

    def __init__(self, letters: DeadLetters, metrics: WorkerMetrics) -> None:
        self._letters = letters
        self._metrics = metrics
        self._cooldown = Cooldown(COOLDOWN_S)

    def __json__(self) -> str:
        # ``celery inspect stats`` encodes the options of the transport as JSON.
        return type(self).__name__

    def __call__(self, kind: str, queue: str, size: int) -> None:
        """Records one malformed task, given its kind of fault, its queue and its size in bytes.

        The dead letter is stored only if the cache can be reached.
        """
        self._metrics.malformed.labels(kind).inc()
        line = "tasks that can't be read become dead letters: %s"
        log_once(logger, logging.ERROR, line, kind)
        if self._cooldown.resting:
            return
        try:
            self._letters.put_malformed(kind, queue, size)
        except RedisError as error:
            self._cooldown.failed()
            logger.warning("a dead letter can't be stored: %s", type(error).__name__)
