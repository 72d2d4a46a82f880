"""The Celery task ``byline.attribute``, and the request that carries a chunk to it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from celery import Task
from celery.worker.request import Request
from celery.worker.state import task_ready
from redis import RedisError
from redis.client import Pipeline

from celery_app.malformed import Malformed, check_headers, check_payload
from celery_app.results import Attributions, count
from celery_app.transport import ORPHANED
from monitoring.request_ids import about
from tasks.attribute import Attributor
from tasks.batch import Begun, kept_failures
from tasks.breaker import Breaker
from tasks.errors import BylineError, InvalidMessage, Revoked
from tasks.messages import LARGEST_TASK, REPLIES, REQUEST_IDS, SENT, TASK, Chunk, Outcome
from tasks.progress import Progress
from tasks.rollout import STEPS
from tasks.work import total

logger = logging.getLogger(__name__)

#: Years of an ETA that is a time in every time zone.
EARLIEST, LATEST = 1971, 9998


class DiscreetRequest(Request):
    """A request that shows nobody its arguments: they may hold texts.

    The client's own repr of them does, too, and events and logs would repeat it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._show("(not shown)")

    def _show(self, arguments: str) -> None:
        self._argsrepr, self._kwargsrepr = arguments, "{}"
        self.request_dict.update(argsrepr=self._argsrepr, kwargsrepr=self._kwargsrepr)

    def info(self, safe: bool = False) -> dict[str, Any]:
        """Return what ``inspect`` shows: never the arguments, whatever ``safe`` says."""
        return super().info(safe=True)


class ChunkRequest(DiscreetRequest):
    """A request for the task, checked when it arrives."""

    def __init__(self, message: Any, *args: Any, **kwargs: Any) -> None:
        """Raises ``Malformed`` where Celery could not use the task, and would raise later."""
        headers = kwargs.get("headers")
        check_headers(message.headers if headers is None else headers)
        super().__init__(message, *args, **kwargs)
        check_payload(*self._payload)
        if self.eta and not EARLIEST <= self.eta.year <= LATEST:
            raise Malformed("wrong header")
        self.chunk = self._parse()
        #: How much work its messages are, see :mod:`tasks.work`.
        self.work = total(self.chunk.texts, self.chunk.explain) if self.chunk else 0
        priority = self.delivery_info.get("priority")
        #: Do others go before it?
        self.behind = isinstance(priority, int) and priority >= STEPS[1]
        self._show(f"({count(self.messages)},)")

    def _parse(self) -> Chunk | None:
        try:
            sent_at = self.request_dict.get(SENT)
            arguments = self.args, self.kwargs
            return parse_chunk(self.id, self.reply_to, *arguments, sent_at, self.request_ids)
        except InvalidMessage:
            return None  # the task itself raises it again, so that it ends as a FAILURE

    def revoked(self) -> bool:
        """Whether the task was revoked or has expired; then Celery has stored that.

        Where it can't, for the cache is gone, the task is over all the same: the broker, which
        delivers tasks, must not count as gone with it.
        """
        try:
            return bool(super().revoked())
        except RedisError as error:
            if not self.task.answers_apart:
                raise
            logger.warning("that a task was revoked can't be stored: %s", error)
            self.acknowledge()
            return True

    @property
    def request_ids(self) -> list[Any]:
        """The ids of the requests that its messages came with, as the header has them."""
        return carried_ids(self.request_dict)

    @property
    def orphaned(self) -> bool:
        """Whether a worker died, or was taken for dead, while it held the task."""
        return bool(self.request_dict.get(ORPHANED))

    @property
    def wants_result(self) -> bool:
        """Whether Celery's result is wanted, and not a reply."""
        return self.chunk is None or self.chunk.reply_to is None

    @property
    def messages(self) -> int:
        """How many messages the chunk holds."""
        return len(self.chunk.texts) if self.chunk else 0

    def give_back(self) -> None:
        """Have the broker deliver the task again, and forget it here."""
        self.reject(requeue=True)
        task_ready(self)

    def cancel(self, pool: Any, signal: Any = None, emit_retry: bool = True) -> None:
        """Do nothing: a thread can't be killed. Unacknowledged, the task is delivered again."""

    def terminate(self, pool: Any, signal: Any = None) -> None:
        """Do nothing, as above. ``revoke`` without ``terminate`` works until a batch has it."""

    @property
    def embed(self) -> dict[str, Any]:
        """Callbacks, errbacks, chain and chord, as the client sent them."""
        return self._payload[2] or {}


class AttributeTask(Task):
    """Attributes the messages of a chunk. Any Celery client may send it, by name."""

    name = TASK
    Request = ChunkRequest
    throws = (InvalidMessage,)  # the client's fault, and no matter for a traceback
    acks_late = True  # a task is acknowledged once its results are stored, not before

    def __init__(self, attributor: Attributor, batch_messages: int) -> None:
        """``batch_messages`` is the largest batch, in messages' worth."""
        self._attributor = attributor
        self._batch_messages = batch_messages
        self._outcomes: dict[str, list[Outcome]] = {}

    def start_strategy(self, app: Any, consumer: Any, **kwargs: Any) -> Callable[..., Any]:
        """Returns what Celery's consumer gives tasks to. What it logs names their requests."""
        receive = super().start_strategy(app, consumer, **kwargs)

        def receive_naming(message: Any, *args: Any, **kwargs: Any) -> Any:
            with about(carried_ids(message.headers)):
                return receive(message, *args, **kwargs)

        return receive_naming

    def begin(self, chunks: Sequence[Chunk]) -> Begun:
        """Have the model begin with ``chunks``, as one batch."""
        return self._attributor.begin(chunks)

    def begin_part(self, progress: Progress, work: int) -> Begun:
        """Have the model begin with so much of the work that a chunk still needs."""
        return self._attributor.begin_part(progress, work)

    def begin_alone(self, progress: Progress, work: int, alive: Callable[[], None]) -> Begun:
        """Have the model see a chunk's next messages one at a time, and store each at once."""
        return self._attributor.begin_alone(progress, work, alive)

    @property
    def answers_apart(self) -> bool:
        """Whether who waits can be answered though nothing can be stored."""
        return self._attributor.replies.apart

    @property
    def cache_gone(self) -> Breaker:
        """Whether the cache is left alone at present, as it can't be reached."""
        return self._attributor.cache_gone

    def finish(self, begun: Begun, pipe: Pipeline) -> list[list[Outcome]]:
        """Wait for the batch's answers, and return those of the chunks that now have all.

        :meth:`run` then finds them ready.
        """
        outcomes = self._attributor.finish(begun, pipe)
        self._outcomes = {c.id: found for c, found in zip(begun.answered, outcomes, strict=True)}
        return outcomes

    def take(self, id: str) -> list[Outcome] | None:
        """Return what :meth:`finish` found for a task, once; None where it was in no batch."""
        return self._outcomes.pop(id, None)

    def reply(self, begun: Begun, outcomes: Sequence[list[Outcome]]) -> None:
        """Tell those who wait or were promised an answer, unless it was done with the storing.

        Raises ``RedisError``.
        """
        self._attributor.replies.send(begun.answered, outcomes, begun.kept)
        self._attributor.record(begun)

    def count_batch(self, reason: str) -> None:
        """Note why a batch is no larger than it is."""
        self._attributor.metrics.batches.labels(reason).inc()

    def rest(self) -> None:
        """Do, between two batches, what frees memory. Called by the model's thread."""
        self._attributor.rest()

    def fail_all(self, chunks: Sequence[Chunk], error: BylineError) -> None:
        """Tell those who wait for ``chunks`` that ``error`` is all they will get.

        Raises:
            redis.RedisError: it can't be stored for those who ask later.
        """
        awaited = [chunk for chunk in chunks if chunk.reply_to is not None]
        with self.backend.round_trip() as pipe:
            failures = self._attributor.fail(awaited, pipe, error)
        self._attributor.replies.send(awaited, failures, kept_failures(failures))

    def on_revoked(self, request: Any, **_: Any) -> None:
        """Tell who waits for a task that was revoked or expired. Receives ``task_revoked``."""
        try:
            chunk = parse_chunk(request.id, request.reply_to, request.args, request.kwargs)
        except InvalidMessage:
            return  # only an api process awaits a reply, and it sends what can be parsed
        self.fail_all([chunk], Revoked("the task was revoked or expired"))

    def run(self, *args: Any, **kwargs: Any) -> Attributions:
        """Attribute ``messages``, a list of texts.

        Optional are ``deadlines``, a list of Unix times or nulls; ``explain``; ``version``, the
        model version for which the client has told somebody an id; and ``exact``, whether another
        version's answer is none. ``promised`` is what earlier clients send; nothing depends on it.

        Returns:
            One attribution for each message, in order; ``{"id", "error": {"code", "detail"}}``
            in the place of a message that has none.

        Raises:
            InvalidMessage: the arguments are not these.
        """
        outcomes = self.take(self.request.id)
        if outcomes is None:  # called directly, not by a worker
            progress = Progress(parse_chunk(self.request.id or "direct", None, args, kwargs))
            while not progress.complete:
                with self.backend.round_trip() as pipe:
                    self._attributor.finish(self.begin_part(progress, self._batch_messages), pipe)
            outcomes = progress.outcomes
        return Attributions(outcomes)


def parse_chunk(
    id: str,
    reply_to: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    sent_at: Any = None,
    request_ids: Sequence[Any] = (),
) -> Chunk:
    """Return the chunk that a task's arguments, and its headers of ours, describe.

    Raises:
        InvalidMessage: they do not describe one. Says what is wrong and quotes nothing.
    """
    try:
        messages, deadlines, explain, version, exact = _arguments(*args, **kwargs)
        if not isinstance(messages, list):
            raise InvalidMessage(f"{TASK}: messages must be a list of strings")
        if len(messages) > LARGEST_TASK:
            words = f"{len(messages):,} messages; at most {LARGEST_TASK:,}, send several tasks"
            raise InvalidMessage(f"{TASK}: {words}")
        chunk = msgspec.convert(
            {
                "id": id,
                "texts": messages,
                "deadlines": [None] * len(messages) if deadlines is None else deadlines,
                "explain": explain,
                "version": version,
                "exact": exact,
                # Anybody may have written it, and nothing but a metric depends on it.
                "sent_at": sent_at if isinstance(sent_at, float) else None,
                "reply_to": _list_of_ours(reply_to),
                "request_ids": request_ids if len(request_ids) == len(messages) else [],
            },
            Chunk,
        )
        if chunk.version is not None:
            chunk.version.encode()  # a part of the ids, which are hashes of bytes
    except TypeError:
        words = "the arguments are messages; deadlines, explain, version, exact if need be"
        raise InvalidMessage(f"{TASK}: {words}") from None
    except ValueError as error:
        raise InvalidMessage(f"{TASK}: {error}") from None
    return chunk


def carried_ids(headers: Any) -> list[Any]:
    """Returns the ids that a task's headers name its requests with; empty where they don't.

    Anybody may have written them: whoever shows one looks whether it is valid.
    """
    ids = headers.get(REQUEST_IDS) if isinstance(headers, dict) else None
    return ids if isinstance(ids, list) and len(ids) <= LARGEST_TASK else []


def _list_of_ours(reply_to: Any) -> str | None:
    """Return the list to reply to. Celery gives every task one; only a list of ours is answered."""
    ours = isinstance(reply_to, str) and reply_to.startswith(REPLIES) and reply_to.isascii()
    return reply_to if ours else None


def _arguments(
    messages: Any,
    deadlines: Any = None,
    explain: Any = False,
    version: Any = None,
    promised: Any = False,  # noqa: ARG001  # earlier clients send it
    exact: Any = False,
) -> tuple[Any, ...]:
    return messages, deadlines, explain, version, exact
