"""The transport's poller, which takes and acknowledges tasks in the worker's event loop."""

from __future__ import annotations

from queue import Empty
from typing import Any

from kombu.transport import redis


class Poller(redis.MultiChannelPoller):
    """Sends claims (commands that take tasks) for all channels.

    The claim of a channel also carries the acknowledgements of this channel. If a channel has no
    claim to send, the poller sends only the acknowledgements of this channel.
    """

    def __init__(self) -> None:
        super().__init__()
        #: Whether the event loop will run soon by itself, because Redis will respond. If not, a
        #: thread that acknowledges a task must wake the loop.
        self.turns = False

    def is_paused(self, channel: Any) -> bool:
        """Returns whether the poller leaves the response to the claim of ``channel`` unread now.

        The poller reads the response later, when the worker has room for tasks.
        """
        return any(paused[0] is channel for paused in self._paused_brpop.values())

    def get(self, callback: Any, timeout: float | None = None) -> None:
        """Delivers tasks. Raises ``Empty`` if there are no tasks.

        Before it raises ``Empty``, this method puts the tasks of dead workers back into their
        queues.
        """
        try:
            super().get(callback, timeout)
        except Empty:
            self.maybe_restore_messages()  # kombu itself calls it only if Redis sent nothing
            raise

    def on_poll_start(self) -> None:
        """Takes tasks if the worker has room; called by kombu at each turn of the event loop."""
        while True:
            self.turns = True
            super().on_poll_start()
            idle = [channel for channel in self._channels if not channel.awaits_tasks]
            made_room = any(channel.qos.has_acknowledgements for channel in idle)
            for channel in idle:
                channel.qos.settle()
            self.turns = len(idle) < len(self._channels)
            if self.turns or not (made_room or any(c.qos.has_acknowledgements for c in idle)):
                return
            # A thread acknowledged a task meanwhile. The thread did not wake the loop, since
            # ``turns`` was set.


class Loop:
    """Wraps Celery's event loop, and adds a reader only if the loop does not have this reader.

    A reader is a callback for a file descriptor. Kombu adds the same readers again and again, which
    takes time.
    """

    def __init__(self, loop: Any) -> None:
        self._hub = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._hub, name)

    def add_reader(self, fd: int, callback: Any, *args: Any) -> None:
        """Makes the loop call ``callback`` when ``fd`` is readable. Adds no reader twice."""
        if self._hub.readers.get(fd) != (callback, args):
            self._hub.add_reader(fd, callback, *args)
