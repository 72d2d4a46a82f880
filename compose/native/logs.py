"""Reads log files of ``make run``: a file's last lines, or its new lines since the last read.

A missing file counts as empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

#: Maximum number of bytes that are read from the end of a log.
MAX_BYTES = 65_536


def size(log: Path) -> int:
    """Returns the size of a log in bytes; 0 if there is no log."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def since(log: Path, begin: int) -> tuple[bytes, int]:
    """Returns the bytes of a log from the position ``begin`` on, and the log's size in bytes.

    If there are more than :data:`MAX_BYTES` bytes, returns only the last :data:`MAX_BYTES` bytes.
    """
    try:
        with log.open("rb") as file:
            end = file.seek(0, 2)
            # A log shorter than ``begin`` is new: the old log was full, and supervisord began
            # another.
            file.seek(max(begin if begin <= end else 0, end - MAX_BYTES))
            return file.read(end - file.tell()), end
    except OSError:
        return b"", begin


def last_lines(log: Path, lines: int = 12, begin: int = 0) -> list[str]:
    """Returns a list of the last lines of a log.

    Returns at most ``lines`` lines. Leaves out the first ``begin`` bytes of the log.
    """
    return since(log, begin)[0].decode(errors="replace").rstrip().splitlines()[-lines:]


class NewLines:
    """Reads the lines that are written to several logs after this object was made."""

    def __init__(self, logs: Iterable[Path]) -> None:
        self._read = {log: size(log) for log in logs}

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yields each complete line that was written since the last call.

        Each item is a pair: the name of the log, and the text of the line.
        """
        for log, read in self._read.items():
            text, end = since(log, read)
            whole, newline, rest = text.rpartition(b"\n")
            self._read[log] = end - len(rest) if newline else read
            for line in whole.decode(errors="replace").splitlines():
                yield log.stem, line
