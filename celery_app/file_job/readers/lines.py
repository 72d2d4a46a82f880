"""Reads the lines of a file as bytes. Counts the bytes, and skips lines that are too long."""

from __future__ import annotations

from collections.abc import Iterator
from io import RawIOBase

#: Number of bytes of one read. A pipe returns fewer if it has no more at present.
READ_BYTES = 131_072
#: Longest line, in bytes. A longer line is skipped, and its result is an error.
MAX_LINE_BYTES = 16 * 2**20


class Lines:
    """Yields the lines of a file as bytes, from the file's present position on, without the LF.

    Yields None in the place of a line that is longer than ``MAX_LINE_BYTES``.
    """

    def __init__(self, file: RawIOBase, offset: int = 0) -> None:
        """``offset`` is the file's present position in bytes."""
        self._file = file
        #: Position in bytes at which the next line begins.
        self.offset = offset
        #: Whether the next line needs another read, for which a pipe may have to wait.
        self.at_pause = False
        self._lines = self._read()

    def __iter__(self) -> Iterator[bytes | None]:
        return self

    def __next__(self) -> bytes | None:
        return next(self._lines)

    def _read(self) -> Iterator[bytes | None]:
        rest, skipped = b"", 0
        while chunk := self._file.read(READ_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for number, line in enumerate(lines, 1):
                self.offset += skipped + len(line) + 1
                self.at_pause = number == len(lines)
                yield None if skipped or len(line) > MAX_LINE_BYTES else line
                skipped = 0
            if len(rest) > MAX_LINE_BYTES:
                skipped += len(rest)
                rest = b""
        if rest or skipped:
            self.offset += skipped + len(rest)
            yield None if skipped else rest
