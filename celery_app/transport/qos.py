"""Acknowledges the tasks of this worker, and requeues the unacknowledged tasks of dead workers."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from time import time
from typing import Any

from kombu.transport import redis, virtual
from redis import Redis

from tasks.malformed import is_of_server, kind_of
from tasks.storage.lua_scripts import read_script

_MEND = read_script(Path(__file__).with_name("mend.lua"), "make_way")


class QoS(redis.QoS):
    """Tracks the tasks that this worker holds, and gathers acknowledgements to send together."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Delivery tags of acknowledged tasks. The model's thread adds tags, and the main loop
        #: removes them.
        self._acknowledged: deque[str | bytes] = deque()
        #: Delivery tags that were sent to Redis, but have no response yet.
        self._unsettled: list[str | bytes] = []
        #: Whether the tasks that are put back into their queues now are tasks of dead workers.
        self.sweeping = False

    def append(self, message: Any, delivery_tag: str) -> None:
        """Records in this process, but not in Redis, that the worker holds a task.

        The claim that took the task has recorded it in Redis already.
        """
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str | bytes) -> None:
        """Records that a task is to be acknowledged. Any thread may call this method.

        The acknowledgement is sent when the worker next takes tasks, or by :meth:`settle`.
        ``delivery_tag`` is bytes only if the tag is not valid UTF-8.
        """
        self._acknowledged.append(delivery_tag)
        tag = (
            delivery_tag.decode(errors="replace")
            if isinstance(delivery_tag, bytes)
            else delivery_tag
        )
        virtual.QoS.ack(self, tag)

    @property
    def has_acknowledgements(self) -> bool:
        """Whether there are acknowledgements that must still be sent."""
        return bool(self._acknowledged)

    def unsettled(self) -> list[str | bytes]:
        """Returns the delivery tags of the tasks to acknowledge in Redis.

        The same tags are returned again until :meth:`settled` is called. A tag that is sent twice
        does no harm.
        """
        self._unsettled += [self._acknowledged.popleft() for _ in range(len(self._acknowledged))]
        return self._unsettled

    def settled(self) -> None:
        """Forgets the tags that :meth:`unsettled` has returned, because Redis has received them."""
        self._unsettled = []

    def settle(self) -> None:
        """Sends the acknowledgements to Redis now. Raises ``RedisError`` if this fails."""
        if tags := self.unsettled():
            with self.pipe_or_acquire() as pipe:
                pipe.zrem(self.unacked_index_key, *tags).hdel(self.unacked_key, *tags).execute()
            self.settled()

    def touch(self) -> None:
        """Renews the visibility timeout of the tasks that this worker holds.

        Raises ``RedisError`` if this fails.
        """
        held = dict.fromkeys(self._delivered.keys() - self._dirty, time())
        if held:
            with self.channel.conn_or_acquire() as client:
                # xx: a task that another worker has taken over is not added again.
                client.zadd(self.unacked_index_key, held, xx=True)

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Puts the tasks of dead workers back into their queues."""
        self.sweeping = True
        try:
            self.mend()
            super().restore_visible(*args, **kwargs)
        finally:
            self.sweeping = False

    def mend(self) -> None:
        """Repairs the Redis keys that hold tasks, if another program or a person has changed them.

        Without the repair, the tasks in these keys might never be delivered.
        """
        channels = self.channel.connection.channels
        lists = {name for channel in channels for name in channel.active_lists}
        keys = [self.unacked_key, self.unacked_index_key, self.unacked_mutex_key, *lists]
        with self.channel.conn_or_acquire() as client:
            client.eval(_MEND, len(keys), *keys, time())

    def restore_by_tag(
        self, tag: str | bytes, client: Redis | None = None, leftmost: bool = False
    ) -> None:
        """Puts an unacknowledged task back into its queue.

        ``tag`` is the task's delivery tag. If ``leftmost`` is true, the task goes behind all other
        tasks, otherwise in front of them. A task that can't be read becomes a dead letter.
        """
        unreadable: list[tuple[Exception, int]] = []

        def restore(pipe: Any) -> None:
            unreadable.clear()  # redis-py may call this function again
            entry = pipe.hget(self.unacked_key, tag)
            pipe.multi()
            self._remove_from_indices(tag, pipe)
            if entry is not None:
                try:
                    self.channel.give_back(entry, pipe, leftmost)
                except Exception as error:
                    if is_of_server(error):
                        raise
                    # For a task that can't be read, kombu's own method raises an error at each
                    # sweep and at each start of a worker.
                    unreadable.append((error, len(entry)))

        with self.channel.conn_or_acquire(client) as own:
            own.transaction(restore, self.unacked_key)
        for error, size in unreadable:
            self.channel.connection.put_dead_letter(kind_of(error), self.unacked_key, size)
