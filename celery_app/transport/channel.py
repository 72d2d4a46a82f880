"""Kombu's Redis transport, except that no task is ever between Redis and the worker.

Kombu takes a task off its list with BRPOP, and then notes that it is unacknowledged. A worker that
is killed between the two, or to which Redis gives a task while it dies, takes the task along. Here
a script does both at once, and for several tasks; what kombu finds in Redis is what it would have
written itself, so that its own workers and its sweep for what dead workers held go with this one.

To wait for a task without taking it, it is moved from the end of its list to the end of its list.
That works for one list at a time: a free worker sees a task of lower priority within
:data:`WAIT_S`.

What was acknowledged goes along with the next claim, so that it costs no round trip and no turn of
the worker's loop. Where no claim is made, for want of room, it has a round trip of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty
from time import monotonic, time
from typing import Any

from kombu.transport import redis
from kombu.utils.json import dumps
from redis import Redis, ResponseError
from redis.exceptions import OutOfMemoryError

from celery_app.transport.qos import QoS
from celery_app.transport.serialization import Message, read, tagged
from monitoring.instruments.log_once import log_once
from tasks.malformed import Malformed, is_of_server, kind_of
from tasks.messages import ORPHANED
from tasks.storage.full_redis import Client, allowed
from tasks.storage.lua_scripts import read_script
from tasks.storage.wrong_type import is_wrong_type

logger = logging.getLogger(__name__)

CLAIM_SCRIPT = read_script(Path(__file__).with_name("claim.lua"))

#: Tasks taken at once, at most. What one worker has taken, another can't.
CLAIM = 4
#: Of so many claims in a row that left tasks behind, one takes those of a lower priority first: a
#: queue that is never empty would keep them waiting for ever.
LATER_FIRST = 8
#: Seconds to wait for a task on the first list before the others are looked at.
WAIT_S = 0.05
#: Seconds after which a claim that has no answer is not relied on: the connection may be half open.
ANSWER_S = 1.0

#: Called with the kind, the queue and the size of a task that can't be read.
PutDeadLetter = Callable[[str, str, int], None]


class Channel(redis.Channel):
    """Takes tasks with the script."""

    QoS = QoS
    Message = Message
    _in_poll: Any
    _brpop_sent_at: Any

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        #: Is a waiting command before the script's on the wire?
        self._waits = False
        #: Is there more than was taken the last time?
        self._more = False
        #: Claims in a row that left tasks behind.
        self._busy = 0
        #: Had Redis no memory for the waiting command the last time?
        self._full = False
        #: The script's command that was sent last.
        self._asked: list[Any] = []
        self._shared: Redis | None = None
        #: Queues whose consumers acknowledge nothing: replies to remote control, for instance.
        self._unacknowledging: set[str] = set()
        #: By priorities and queues: a claim's beginning, and for each list whether what it holds is
        #: noted.
        self._claims: dict[tuple[int | str, ...], tuple[list[Any], list[int]]] = {}
        #: Are no tasks of lower priority wanted? They would wait here, and keep others out.
        self.wants_pressing_only: Callable[[], bool] = lambda: False
        super().__init__(*args, **kwargs)

    @contextmanager
    def conn_or_acquire(self, client: Redis | None = None) -> Iterator[Redis]:
        """Yield a client. Kombu makes one each time, which takes longer than most commands."""
        if self._shared is None or self._shared.connection_pool is not self.pool:
            self._shared = self._create_client()
        yield client or self._shared

    def _get_client(self) -> type[Client]:
        super()._get_client()  # which looks at the library's version
        return Client

    def give_back(self, entry: bytes, pipe: Any, leftmost: bool) -> None:
        """Queue on ``pipe`` that a task goes back to its queue. Raises whatever is wrong with it.

        Kombu, where it can't, drops the task and logs the whole of it.
        """
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
        """The lists that are consumed here."""
        return self._lists(list(self.active_queues))

    def close(self) -> None:
        """Settle, give back what was not acknowledged, and close."""
        if not self.closed:
            try:
                self.qos.settle()
            except self.connection_errors as error:
                logger.warning("finished tasks will be delivered again: %s", error)
        super().close()

    def basic_consume(self, queue: str, no_ack: bool, *args: Any, **kwargs: Any) -> Any:
        """Consume, and remember who will not acknowledge."""
        (self._unacknowledging.add if no_ack else self._unacknowledging.discard)(queue)
        self._claims.clear()
        return super().basic_consume(queue, no_ack, *args, **kwargs)

    def basic_get(self, queue: str, no_ack: bool = False, **kwargs: Any) -> Any:
        """Get one task; acknowledged at once where the caller will not."""
        message = super().basic_get(queue, no_ack, **kwargs)
        if message is not None and no_ack:
            self.qos.ack(message.delivery_tag)
        return message

    @property
    def claims(self) -> bool:
        """Whether Redis has been asked for tasks a moment ago, and the answer will be read."""
        return (
            bool(self._in_poll)
            and monotonic() < self._brpop_sent_at + ANSWER_S
            and not self.connection.cycle.is_paused(self)
        )

    def _claim(self, queues: list[str], most: int, tags: Sequence[str | bytes] = ()) -> list[Any]:
        """Return the script's command; what is the same at each turn of the loop is kept."""
        steps = self._steps()
        begun = self._claims.get((*steps, *queues))
        if begun is None:
            noted = [int(queue not in self._unacknowledging) for queue in queues]
            keys = [*self._lists(queues, steps), self.unacked_key, self.unacked_index_key]
            begun = ["EVAL", CLAIM_SCRIPT, len(keys), *keys], noted * len(steps)
            self._claims[(*steps, *queues)] = begun
        return [*begun[0], time(), most, *begun[1], *tags]

    def _steps(self) -> list[int]:
        """Return the priorities to take tasks of, the first first."""
        first, *others = self.priority_steps
        if self.wants_pressing_only():
            return [first]
        turn, rest = divmod(self._busy, LATER_FIRST)
        if rest < LATER_FIRST - 1:
            return [first, *others]
        later = others[turn % len(others)]
        return [later, first, *(step for step in others if step != later)]

    def _lists(self, queues: list[str], steps: Sequence[int] | None = None) -> list[str]:
        wanted = self.priority_steps if steps is None else steps
        return [self._q_for_pri(queue, step) for step in wanted for queue in queues]

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        while True:
            with self.conn_or_acquire() as client:
                claimed = client.execute_command(*self._claim([queue], 1))
            if not claimed:
                raise Empty
            with self._handing_over(queue, claimed[1], claimed[2]):
                task = tagged(claimed[1], claimed[2])
                self.Message(task, channel=self)  # what kombu makes of it next
                return task

    def _brpop_start(self, timeout: float | None = None) -> None:
        """Have Redis wait for a task, unless more are there, and take what it has."""
        queues = self._queue_cycle.consume(len(self.active_queues))
        if not queues:
            return
        connection = self.client.connection
        self._in_poll = connection
        self._brpop_sent_at = monotonic()
        room = self.qos.can_consume_max_estimate()
        most = CLAIM if room is None else max(1, min(CLAIM, room))
        claim = self._asked = self._claim(queues, most, self.qos.unsettled())
        self._waits = not self._more
        wait = [self._wait(claim[3])] if self._waits else []
        connection.send_packed_command(connection.pack_commands([*wait, claim]))

    def _wait(self, first: str) -> list[Any]:
        """Return the command that waits for a task on the first list.

        Where Redis has no memory left, it refuses that one. Another waits as long, for nothing.
        """
        if self._full:
            return ["BLPOP", f"{self.unacked_key}:none", WAIT_S]
        return ["BLMOVE", first, first, "RIGHT", "RIGHT", WAIT_S]

    def _brpop_read(self, **options: Any) -> bool:
        """Deliver what the script took. Raises ``Empty`` where that is nothing."""
        try:
            claimed = self._claimed()
        finally:
            self._in_poll = None
            self._flush_brpop_reauth()
        tasks = list(zip(claimed[::3], claimed[1::3], claimed[2::3], strict=True))
        # The first list is waited for anyway.
        self._more = bool(tasks) and (len(tasks) >= CLAIM or self.sep.encode() in tasks[-1][0])
        self._busy = self._busy + 1 if self._more else 0
        for name, task, tag in tasks:
            queue = name.decode().rsplit(self.sep, 1)[0]
            with self._handing_over(queue, task, tag):
                self.connection._deliver(tagged(task, tag), queue)
        if not tasks:
            raise Empty
        return True

    @contextmanager
    def _handing_over(self, queue: str, task: bytes, tag: bytes) -> Iterator[None]:
        """Make a dead letter of the task where the block raises anything, unless Redis failed.

        Kombu counts ``KeyError`` and others among the errors of connections. But here nothing is
        read from the connection that tasks come from. Left, such a task would come again for ever.
        """
        try:
            yield
        except Exception as error:
            if is_of_server(error):
                raise
            self.connection.put_dead_letter(kind_of(error), queue, len(task))
            if tag:
                self.qos.ack(tag)

    def _deliver_fanout_message(self, message: Any, exchange: str) -> bool:
        """Deliver what was broadcast, such as a command of remote control, unless it is none."""
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

    def _claimed(self) -> list[bytes]:
        client, connection = self.client, self.client.connection
        try:
            refused = self._waited(client, connection)
            claimed = self._taken(client, connection)
            self.qos.settled()
            self._full = isinstance(refused, OutOfMemoryError)
            if refused and not (claimed or self._full):
                raise refused
        except self.connection_errors as error:
            connection.disconnect()  # kombu's poller connects again
            if is_wrong_type(error):
                self.qos.mend()
            raise
        return claimed

    def _taken(self, client: Redis, connection: Any) -> list[bytes]:
        """Return what the script took. It is sent again where Redis had no memory to note it."""
        try:
            return client.parse_response(connection, "EVAL") or []
        except OutOfMemoryError:
            connection.send_command(*allowed(self._asked))
            return client.parse_response(connection, "EVAL") or []

    def _waited(self, client: Redis, connection: Any) -> ResponseError | None:
        """Read the answer to the waiting command. What the script took counts, whatever it says."""
        try:
            if self._waits:
                client.parse_response(connection, "BLMOVE")
        except ResponseError as error:
            return error
        return None
