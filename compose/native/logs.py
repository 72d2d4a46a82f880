"""The parts' log files: their ends, and what is new in them. A log that is away is empty."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

#: Bytes read from a log at once, from its end.
MOST = 65_536


def size(log: Path) -> int:
    """Returns a log's size in bytes, 0 where there is none."""
    try:
        return log.stat().st_size
    except OSError:
        return 0


def since(log: Path, begin: int) -> tuple[bytes, int]:
    """Returns what was written after the first ``begin`` bytes, and the log's size.

    Of more than :data:`MOST` bytes, only the last ones are returned.
    """
    try:
        with log.open("rb") as file:
            end = file.seek(0, 2)
            # Shorter than that: supervisord has begun it anew, for it was full.
            file.seek(max(begin if begin <= end else 0, end - MOST))
            return file.read(end - file.tell()), end
    except OSError:
        return b"", begin


def last_lines(log: Path, lines: int = 12, begin: int = 0) -> list[str]:
    """Returns the last lines written after the first ``begin`` bytes."""
    return since(log, begin)[0].decode(errors="replace").rstrip().splitlines()[-lines:]


class News:
    """Lines written to logs from now on."""

    def __init__(self, logs: Iterable[Path]) -> None:
        self._read = {log: size(log) for log in logs}

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yields each complete new line, with the name of the log it stands in."""
        for log, read in self._read.items():
            text, end = since(log, read)
            whole, newline, rest = text.rpartition(b"\n")
            self._read[log] = end - len(rest) if newline else read
            for line in whole.decode(errors="replace").splitlines():
                yield log.stem, line
