"""Prints to the terminal, ignores errors of printing, and handles Ctrl-C and other stop signals."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: The signals that stop everything.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: File descriptor of the standard output.
STDOUT = 1
#: File descriptor of the standard error.
STDERR = 2
#: Seconds to wait for a reader that reads slowly. After that, the rest of the text is dropped.
ROOM_S = 0.2


def say(text: str, stream: int = STDOUT) -> None:
    """Prints ``text`` and a line end. Ignores errors: a closed terminal, a full disk, no reader."""
    rest = f"{text}\n".encode(errors="replace")
    with suppress(OSError):
        # A writable stream takes at least PIPE_BUF bytes. A larger write might block for ever.
        while rest and select.select([], [stream], [], ROOM_S)[1]:
            rest = rest[os.write(stream, rest[: select.PIPE_BUF]) :]


def prepare() -> None:
    """Makes Ctrl-C end this process at once, and opens closed standard streams as /dev/null."""
    _listen(_leave)
    while (number := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass  # otherwise the next opened file, such as the lock, would get a stream's number
    os.close(number)


class StopSignal:
    """Handles the stop signals: the first one raises KeyboardInterrupt, later ones do nothing."""

    def __init__(self) -> None:
        self._asked = self._held = False
        _listen(self._ask)

    def check(self) -> None:
        """Raises KeyboardInterrupt if a stop signal has arrived.

        This method is for a signal that had no effect when it arrived. Either :meth:`held` delayed
        the signal, or a library caught the signal's KeyboardInterrupt.
        """
        if self._asked:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Delays stop signals: a signal raises nothing while the ``with`` block runs.

        Instead, the next call of :meth:`check` raises KeyboardInterrupt. So a block can start a
        process and then record the process, without an interruption between these two steps.
        """
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def _ask(self, *_: object) -> None:
        first, self._asked = not self._asked, True
        if first and not self._held:
            raise KeyboardInterrupt


def _listen(handler: signal.Handlers | object) -> None:
    for number in STOP_SIGNALS:
        # Under `nohup`, SIGHUP is ignored, and stays ignored.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)  # type: ignore[arg-type]


def _leave(*_: object) -> None:
    say("byline: stopped")
    os._exit(0)
