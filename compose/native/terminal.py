"""The terminal: printing, which never fails, and Ctrl-C, which comes once."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

#: The signals that mean: stop everything.
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STDOUT = 1
STDERR = 2
#: Seconds that a reader is given to make room. What it has no room for then is not printed.
ROOM_S = 0.2


def say(text: str, stream: int = STDOUT) -> None:
    """Prints lines. A closed terminal, a full disk or a reader that is gone ends nothing."""
    rest = f"{text}\n".encode(errors="replace")
    with suppress(OSError):
        # There is room for PIPE_BUF bytes at least: to write more may block for ever.
        while rest and select.select([], [stream], [], ROOM_S)[1]:
            rest = rest[os.write(stream, rest[: select.PIPE_BUF]) :]


def prepare() -> None:
    """Makes Ctrl-C end this process at once, and have standard streams that nothing else takes."""
    _listen(_leave)
    while (number := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass  # else the next file opened, a lock say, would get a closed stream's number
    os.close(number)


class Stop:
    """A signal that means: stop everything. It comes as a KeyboardInterrupt, and only once."""

    def __init__(self) -> None:
        self._asked = self._held = False
        _listen(self._ask)

    def check(self) -> None:
        """Raises the KeyboardInterrupt that came in :meth:`held`, or that a library has caught."""
        if self._asked:
            raise KeyboardInterrupt

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have the signal wait: what the block starts must be known, to be ended."""
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
        # `nohup` has SIGHUP ignored, and so it stays.
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)  # type: ignore[arg-type]


def _leave(*_: object) -> None:
    say("byline: stopped")
    os._exit(0)
