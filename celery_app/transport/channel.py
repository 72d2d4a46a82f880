"""Kombu's channel for Redis, changed so that a task is not lost if a worker is killed.

Kombu takes a task with BRPOP, and then records the task as unacknowledged. If the worker dies
before the second step, the task is lost. This channel sends a *claim*: a Lua script that takes and
records several tasks in one step. A claim also carries acknowledgements.

The script writes the same data as kombu. So workers with kombu's own channel can handle these
tasks. Kombu's sweep can requeue the tasks of dead workers.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from queue import Empty
from time import monotonic
from typing import Any

from kombu.utils.json import dumps
from redis import Redis, ResponseError
from redis.exceptions import OutOfMemoryError

from celery_app.transport.claim import (
    CLAIM,
    ClaimPrefix,
    PriorityOrder,
    claim_command,
    claim_prefix,
    claimed_tasks,
    first_list,
)
from celery_app.transport.one_client import OneClientChannel
from celery_app.transport.qos import QoS
from celery_app.transport.serialization import Message, read, tagged
from monitoring.instruments.log_once import log_once
from tasks.malformed import Malformed, is_of_server, kind_of
from tasks.messages import ORPHANED
from tasks.storage.full_redis import allowed
from tasks.storage.wrong_type import is_wrong_type

logger = logging.getLogger(__name__)

#: Seconds to wait for a task on the first list before the other lists are read.
WAIT_S = 0.05
#: The same while tasks of the other lists come: the model may have nothing to do meanwhile.
SHORT_WAIT_S = 0.005
#: Seconds after a task of another list for which the wait is short.
SHORT_FOR_S = 1.0
#: Seconds after which a claim without a response counts as lost: the connection may be half open.
RESPONSE_S = 1.0

#: Called for a task that can't be read: with the kind of error, the queue and the size in bytes.
PutDeadLetter = Callable[[str, str, int], None]


class Channel(OneClientChannel):
    """Kombu's channel for Redis, changed to take tasks with :mod:`celery_app.transport.claim`."""

    QoS = QoS
    Message = Message
    _in_poll: Any
    _brpop_sent_at: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        #: Whether a command that waits for a task was sent before the last claim.
        self._sent_wait = False
        #: Whether the last claim may have left tasks in the lists.
        self._left_behind = False
        #: Monotonic time in seconds at which a task of another list than the first came last.
        self._other_list_at = -SHORT_FOR_S
        self._priority_order = PriorityOrder()
        #: Whether Redis had no memory for the last command that waits for a task.
        self._out_of_memory = False
        #: The last claim, kept so that it can be sent again.
        self._last_claim: list[Any] = []
        #: Queues whose consumers acknowledge nothing, such as the queue of remote control replies.
        self._unacknowledging: set[str] = set()
        #: The constant parts of claims, by priorities and queues.
        self._prefixes: dict[tuple[int | str, ...], ClaimPrefix] = {}
        #: Returns whether the worker takes only tasks of the highest priority now, because enough
        #: tasks of lower priorities wait in it already.
        self.wants_pressing_only: Callable[[], bool] = lambda: False
        super().__init__(*args, **kwargs)

    def give_back(self, entry: bytes, pipe: Any, leftmost: bool) -> None:
        """Adds to ``pipe`` the command that puts a task back into its queue.

        ``entry`` is the task as kombu stores it in Redis. If ``leftmost`` is true, the task goes
        behind all others, otherwise in front. Raises an error if the task can't be read.
        """
        # If a step raises an error, kombu's own method drops the task, and logs its whole content.
        task, exchange, route = read(entry)
        headers = task["headers"]
        headers["redelivered"] = True
        if self.qos.sweeping:
            headers[ORPHANED] = True
        with suppress(KeyError):
            task["properties"]["delivery_info"]["redelivered"] = True
        if exchange:
            queues = self._lookup(exchange, route)
        else:
            queues = [route] if isinstance(route, str) and route else []
        if not queues:
            raise Malformed("wrong properties")
        push = pipe.lpush if leftmost else pipe.rpush
        for queue in queues:
            push(self._q_for_pri(queue, self._get_message_priority(task)), dumps(task))

    @property
    def active_lists(self) -> list[str]:
        """The names of the Redis lists that this channel takes tasks from."""
        return self._lists(list(self.active_queues), self.priority_steps)

    def close(self) -> None:
        """Acknowledges finished tasks, requeues unfinished tasks, and closes the channel."""
        if not self.closed:
            try:
                self.qos.settle()
            except self.connection_errors as error:
                logger.warning("finished tasks will be delivered again: %s", error)
        super().close()

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """Starts to consume a queue, and remembers whether its consumer acknowledges tasks."""
        (self._unacknowledging.add if no_ack else self._unacknowledging.discard)(queue)
        self._prefixes.clear()
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        """Returns one task of a queue; None if the queue is empty.

        If ``no_ack`` is True, this method acknowledges the task at once.
        """
        message = super().basic_get(queue, no_ack, **kwargs)
        if message is not None and no_ack:
            self.qos.ack(message.delivery_tag)
        return message

    @property
    def awaits_tasks(self) -> bool:
        """Whether the channel waits for the response to a claim, the command that takes tasks."""
        return (
            bool(self._in_poll)
            and monotonic() < self._brpop_sent_at + RESPONSE_S
            and not self.connection.cycle.is_paused(self)
        )

    def _claim(
        self, queues: list[str], max_tasks: int, tags: Sequence[str | bytes] = ()
    ) -> list[Any]:
        steps = self._priority_order.steps(self.priority_steps, self.wants_pressing_only())
        key: tuple[int | str, ...] = (*steps, *queues)
        prefix = self._prefixes.get(key)
        if prefix is None:
            recorded = [int(queue not in self._unacknowledging) for queue in queues] * len(steps)
            unacked_keys = self.unacked_key, self.unacked_index_key
            prefix = claim_prefix(self._lists(queues, steps), unacked_keys, recorded)
            self._prefixes[key] = prefix
        return claim_command(prefix, max_tasks, tags)

    def _lists(self, queues: list[str], steps: Sequence[int]) -> list[str]:
        return [self._q_for_pri(queue, step) for step in steps for queue in queues]

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        while True:
            with self.conn_or_acquire() as client:
                claimed = claimed_tasks(client.execute_command(*self._claim([queue], 1)) or [])
            if not claimed:
                raise Empty
            [(_, raw, tag)] = claimed
            with self._handing_over(queue, raw, tag):
                task = tagged(raw, tag)
                self.Message(task, channel=self)  # raises now the error that kombu would raise
                return task

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Sends a claim, the command that takes tasks. Kombu calls this method.

        If the last claim left no tasks in the lists, this method first sends a command that waits
        for a task.
        """
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        connection = self.client.connection
        self._in_poll = connection
        self._brpop_sent_at = monotonic()
        room = self.qos.can_consume_max_estimate()
        max_tasks = CLAIM if room is None else max(1, min(CLAIM, room))
        # The acknowledgements in the claim need no round trip of their own, and no extra turn of
        # the worker's event loop.
        claim = self._last_claim = self._claim(queues, max_tasks, self.qos.unsettled())
        self._sent_wait = not self._left_behind
        wait = [self._wait_command(first_list(claim))] if self._sent_wait else []
        connection.send_packed_command(connection.pack_commands([*wait, claim]))

    def _wait_command(self, first: str) -> list[Any]:
        """Returns the Redis command that waits for a task on the list ``first``.

        The command waits for at most ``WAIT_S`` seconds, and leaves the task in the list.
        """
        wait_s = SHORT_WAIT_S if monotonic() < self._other_list_at + SHORT_FOR_S else WAIT_S
        if self._out_of_memory:  # Redis would refuse BLMOVE; the list of this BLPOP is always empty
            return ["BLPOP", f"{self.unacked_key}:none", wait_s]
        # Moves a task from the list's end to the same end. BLMOVE can wait on one list only, so the
        # worker reads its other lists when the wait ends.
        return ["BLMOVE", first, first, "RIGHT", "RIGHT", wait_s]

    def _brpop_read(self, **options: Any) -> bool:
        """Delivers the tasks in the response to a claim. Raises ``Empty`` if there are no tasks."""
        try:
            tasks = claimed_tasks(self._read_claim())
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        # The wait watches only the first list. If a task came from another list, more may be there.
        of_other_list = bool(tasks) and self.sep.encode() in tasks[-1].name
        self._left_behind = of_other_list or len(tasks) >= CLAIM
        if of_other_list:
            self._other_list_at = monotonic()
        self._priority_order.record(self._left_behind)
        for name, task, tag in tasks:
            queue = name.decode().rsplit(self.sep, 1)[0]
            with self._handing_over(queue, task, tag):
                self.connection._deliver(tagged(task, tag), queue)
        if not tasks:
            raise Empty
        return True

    @contextmanager
    def _handing_over(self, queue: str, task: bytes, tag: bytes) -> Iterator[None]:
        """Turns a task into a dead letter if the ``with`` block, which delivers the task, fails.

        If Redis or the machine causes an error, makes no dead letter, and raises the error.
        """
        try:
            yield
        except Exception as error:
            if is_of_server(error):
                raise
            # Kombu would treat an error that the task causes as a lost connection, and deliver the
            # task again and again.
            self.connection.put_dead_letter(kind_of(error), queue, len(task))
            if tag:
                self.qos.ack(tag)

    def _deliver_fanout_message(self, message: Any, exchange: str) -> bool:
        """Delivers a broadcast, such as a remote control command. Logs an invalid broadcast."""
        try:
            return bool(super()._deliver_fanout_message(message, exchange))
        except Exception as error:
            if is_of_server(error):
                raise
            log_once(logger, logging.ERROR, "a broadcast can't be read: %s", kind_of(error))
            return False

    def _receive_one(self, client: Any) -> Any:
        try:
            return super()._receive_one(client)
        except RecursionError as error:
            log_once(logger, logging.ERROR, "a broadcast can't be read: %s", kind_of(error))
            return None

    def _read_claim(self) -> list[bytes]:
        client, connection = self.client, self.client.connection
        try:
            refusal = self._read_wait(client, connection)
            response = self._read_script(client, connection)
            self.qos.settled()
            self._out_of_memory = isinstance(refusal, OutOfMemoryError)
            if refusal and not (response or self._out_of_memory):
                raise refusal
        except self.connection_errors as error:
            connection.disconnect()  # kombu's poller connects again
            if is_wrong_type(error):
                self.qos.mend()
            raise
        return response

    def _read_script(self, client: Redis, connection: Any) -> list[bytes]:
        """Returns the response to a claim. Sends the claim again if Redis had no memory for it."""
        try:
            return client.parse_response(connection, "EVAL") or []
        except OutOfMemoryError:
            connection.send_command(*allowed(self._last_claim))
            return client.parse_response(connection, "EVAL") or []

    def _read_wait(self, client: Redis, connection: Any) -> ResponseError | None:
        """Reads the response to the command that waits for a task. Returns Redis's error, or None.

        This method does not raise the error, because the claim (the command that takes tasks) may
        have succeeded.
        """
        try:
            if self._sent_wait:
                client.parse_response(connection, "BLMOVE")
        except ResponseError as error:
            return error
        return None
