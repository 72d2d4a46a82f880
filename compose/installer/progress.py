"""Shows on the terminal what an installation is doing, and for how many seconds already."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from compose.native.terminal import say

#: Seconds between two lines of output.
LINE_S = 4.0
#: Seconds between two updates of the one line on a terminal.
UPDATE_S = 0.5
#: Takes the cursor to the line's beginning and clears the line.
CLEAR = "\r\033[K"


class Progress:
    """Shows what the ``with`` block is doing, and for how many seconds already.

    On a terminal, updates one line every :data:`UPDATE_S` seconds. If the output is no terminal,
    prints a new line every :data:`LINE_S` seconds. This time runs on from one ``with`` block to the
    next.
    """

    #: Monotonic time of the last line that any block printed. Shared, so that lines also appear
    #: during a row of short blocks.
    last_line = time.monotonic()

    def __init__(self, describe: Callable[[], str]) -> None:
        """``describe()`` returns a text on what is being done at this moment."""
        self._describe = describe
        self._begin = time.monotonic()
        self._end = threading.Event()
        self._terminal = sys.stdout.isatty()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> Progress:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if self._terminal:
            self._clear()

    @property
    def seconds(self) -> float:
        """The seconds since this object was made."""
        return time.monotonic() - self._begin

    def _show(self) -> None:
        while not self._end.wait(UPDATE_S):
            late = time.monotonic() - Progress.last_line >= LINE_S
            if not self._terminal and not late:
                continue
            line = f"byline: {self.seconds:4.0f} s: {self._describe()}"
            Progress.last_line = time.monotonic()
            if self._terminal:
                self._clear(line[: _columns()])
            else:
                say(line)

    def _clear(self, line: str = "") -> None:
        """Clears the terminal's current line, and writes ``line`` in its place."""
        sys.stdout.write(f"{CLEAR}{line}")
        sys.stdout.flush()


def _columns() -> int:
    """Returns how many characters fit into a line of the terminal; 79 if that is unknown.

    A longer text would fill two lines, and only one of them could be cleared.
    """
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns - 1
    except OSError:
        return 79


def megabytes(folder: Path) -> str:
    """Returns the size of all files in a folder, as text in MB. Skips files that just vanished."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                size += os.lstat(f"{parent}/{name}").st_size
            except OSError:
                continue
    return f"{size / 1e6:.0f} MB"
