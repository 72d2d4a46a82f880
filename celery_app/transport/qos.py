"""Unacknowledged tasks: those that a worker holds, and those that dead workers held."""

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
    """What is taken is noted already; what is acknowledged shares a round trip."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Filled by the model's thread while the main loop empties it.
        self._acknowledged: deque[str | bytes] = deque()
        #: Of these Redis has not said yet that it has forgotten them.
        self._unsettled: list[str | bytes] = []
        #: Is what is being restored what dead workers held?
        self.sweeping = False

    def append(self, message: Any, delivery_tag: str) -> None:
        """Note the task here only: the script has noted it in Redis."""
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str | bytes) -> None:
        """Acknowledge, with the next claim or :meth:`settle`. Any thread may.

        Redis knows a tag that is no UTF-8 by its bytes alone. Kombu never holds such a task.
        """
        self._acknowledged.append(delivery_tag)
        tag = (
            delivery_tag.decode(errors="replace")
            if isinstance(delivery_tag, bytes)
            else delivery_tag
        )
        virtual.QoS.ack(self, tag)

    @property
    def acknowledges(self) -> bool:
        """Whether something was acknowledged that nobody has seen to yet."""
        return bool(self._acknowledged)

    def unsettled(self) -> list[str | bytes]:
        """Return what Redis is to forget, until :meth:`settled`: twice is as good as once."""
        self._unsettled += [self._acknowledged.popleft() for _ in range(len(self._acknowledged))]
        return self._unsettled

    def settled(self) -> None:
        """Note that Redis has forgotten what :meth:`unsettled` returned last."""
        self._unsettled = []

    def settle(self) -> None:
        """Have Redis forget what was acknowledged. Raises ``RedisError``."""
        if tags := self.unsettled():
            with self.pipe_or_acquire() as pipe:
                pipe.zrem(self.unacked_index_key, *tags).hdel(self.unacked_key, *tags).execute()
            self.settled()

    def touch(self) -> None:
        """Let the others know that what is held here is being seen to. Raises ``RedisError``."""
        held = dict.fromkeys(self._delivered.keys() - self._dirty, time())
        if held:
            with self.channel.conn_or_acquire() as client:
                client.zadd(self.unacked_index_key, held, xx=True)  # what was taken away stays so

    def restore_visible(self, *args: Any, **kwargs: Any) -> None:
        """Have delivered again what dead workers held."""
        self.sweeping = True
        try:
            self.mend()
            super().restore_visible(*args, **kwargs)
        finally:
            self.sweeping = False

    def mend(self) -> None:
        """Put right what no part of Byline can have done to the keys of the queue."""
        channels = self.channel.connection.channels
        lists = {name for channel in channels for name in channel.active_lists}
        keys = [self.unacked_key, self.unacked_index_key, self.unacked_mutex_key, *lists]
        with self.channel.conn_or_acquire() as client:
            client.eval(_MEND, len(keys), *keys, time())

    def restore_by_tag(
        self, tag: str | bytes, client: Redis | None = None, leftmost: bool = False
    ) -> None:
        """Give a task back, whoever had it. One that can't be read becomes a dead letter.

        Kombu's own raises there, again at each sweep and at each start of a worker.
        """
        refused: list[tuple[Exception, int]] = []

        def restore(pipe: Any) -> None:
            refused.clear()  # this may be called again
            entry = pipe.hget(self.unacked_key, tag)
            pipe.multi()
            self._remove_from_indices(tag, pipe)
            if entry is not None:
                try:
                    self.channel.give_back(entry, pipe, leftmost)
                except Exception as error:
                    if is_of_server(error):
                        raise
                    refused.append((error, len(entry)))

        with self.channel.conn_or_acquire(client) as own:
            own.transaction(restore, self.unacked_key)
        for error, size in refused:
            self.channel.connection.put_dead_letter(kind_of(error), self.unacked_key, size)
