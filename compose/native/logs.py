"""Reads the parts' log files: their last lines and their new lines. A missing log is empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

#: Bytes that are read from the end of a log, at most.
MAX_BYTES = 65_536


def size(log: Path) -> int:
    """Returns the size of a log in bytes; 0 where there is no log."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def since(log: Path, begin: int) -> tuple[bytes, int]:
    """Returns the bytes of a log after the first ``begin`` bytes, and the log's size.

    Of more than :data:`MAX_BYTES` bytes, only the last :data:`MAX_BYTES` are returned.
    """
    try:
        with log.open("rb") as file:
            end = file.seek(0, 2)
            # A log shorter than ``begin`` was full: supervisord has begun a new one.
            file.seek(max(begin if begin <= end else 0, end - MAX_BYTES))
            return file.read(end - file.tell()), end
    except OSError:
        return b"", begin


def last_lines(log: Path, lines: int = 12, begin: int = 0) -> list[str]:
    """Returns the last ``lines`` lines of a log, among those after its first ``begin`` bytes."""
    return since(log, begin)[0].decode(errors="replace").rstrip().splitlines()[-lines:]


class NewLines:
    """Reads the lines that are written to logs from now on."""

    def __init__(self, logs: Iterable[Path]) -> None:
        self._read = {log: size(log) for log in logs}

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yields each complete line that is new since the last call.

        A line comes as a pair: the name of its log, and its text.
        """
        for log, read in self._read.items():
            text, end = since(log, read)
            whole, newline, rest = text.rpartition(b"\n")
            self._read[log] = end - len(rest) if newline else read
            for line in whole.decode(errors="replace").splitlines():
                yield log.stem, line
