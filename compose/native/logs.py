"""The parts' log files: their ends, and what is new in them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

#: Bytes read from the end of a log for its last lines.
TAIL = 16_384


def last_lines(log: Path, lines: int = 12, since: int = 0) -> list[str]:
    """Return the last lines written after the first ``since`` bytes; none where there is no log."""
    end = size(log)
    if end < since:  # begun anew: the old one is full
        since = 0
    if end == since:
        return []
    with log.open("rb") as file:
        file.seek(max(since, end - TAIL))
        return file.read().decode(errors="replace").rstrip().splitlines()[-lines:]


class News:
    """What is written to logs from now on."""

    def __init__(self, logs: Iterable[Path]) -> None:
        self._read = {log: size(log) for log in logs}

    def lines(self) -> Iterator[tuple[str, str]]:
        """Yield each complete new line, with the name of the log it stands in."""
        for log, read in self._read.items():
            end = size(log)
            offset = 0 if end < read else read
            if end == offset:
                continue
            with log.open("rb") as file:
                file.seek(offset)
                whole = file.read().rpartition(b"\n")[0]
            self._read[log] = offset + len(whole) + bool(whole)
            for line in whole.decode(errors="replace").splitlines():
                yield log.stem, line


def size(log: Path) -> int:
    """Return a log's size in bytes, 0 where there is none."""
    return log.stat().st_size if log.exists() else 0
