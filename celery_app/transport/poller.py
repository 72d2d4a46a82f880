"""The turns of the worker's loop, as kombu's Redis transport takes part in them."""

from __future__ import annotations

from queue import Empty
from typing import Any

from kombu.transport import redis


class Poller(redis.MultiChannelPoller):
    """Tells when the worker's loop is about to turn, and settles what no claim takes along."""

    def __init__(self) -> None:
        super().__init__()
        #: Will the loop turn soon, for an answer of Redis? If not, who makes room must wake it.
        self.turns = False

    def is_paused(self, channel: Any) -> bool:
        """Return whether the channel's claim is left unread, for want of room."""
        return any(paused[0] is channel for paused in self._paused_brpop.values())

    def get(self, callback: Any, timeout: float | None = None) -> None:
        """Deliver what is there. Raises ``Empty``, after a sweep for what the dead held."""
        try:
            super().get(callback, timeout)
        except Empty:
            self.maybe_restore_messages()  # kombu does so only where Redis was silent
            raise

    def on_poll_start(self) -> None:
        """Claim where there is room. Called at each turn of the worker's loop."""
        while True:
            self.turns = True
            super().on_poll_start()
            idle = [channel for channel in self._channels if not channel.claims]
            made_room = any(channel.qos.acknowledges for channel in idle)
            for channel in idle:
                channel.qos.settle()
            self.turns = len(idle) < len(self._channels)
            if self.turns or not (made_room or any(c.qos.acknowledges for c in idle)):
                return
            # Acknowledged meanwhile by one who took it that the loop turns.


class Loop:
    """Celery's loop, except that a reader is not added again at each turn."""

    def __init__(self, loop: Any) -> None:
        self._hub = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hub, name)

    def add_reader(self, fd: int, callback: Any, *args: Any) -> None:
        """Have ``callback`` called where there is something to be read, unless it is already."""
        if self._hub.readers.get(fd) != (callback, args):
            self._hub.add_reader(fd, callback, *args)
