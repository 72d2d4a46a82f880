"""Limits of what comes beside the data of a request: its head, chunk sizes and trailers.

The parser limits none of them: it gathers a header for as long as it comes. So Byline counts the
bytes as they arrive, a piece at a time, before it checks the client's key. A head or body that
begins within a piece is counted from the next piece on.
"""

from __future__ import annotations

from collections.abc import Sequence

from api.accelerator.http.errors import HeadersTooLarge

#: Bytes of a head: its URL, and each field's name and value and four bytes more.
MAX_HEAD_BYTES = 32 * 1024
#: Fields of a head, and of the trailers.
MAX_FIELDS = 100
#: Bytes of a chunked body that are no data: chunk sizes with their extensions, and trailers.
MAX_FRAMING_BYTES = 16 * 1024
#: Bytes beside its data that each chunk may have, and that don't count.
CHUNK_BYTES = 16
#: Bytes that the parser is given at a time. A head or body that is still coming may exceed its
#: limit by this many bytes.
PIECE_BYTES = 4 * 1024


def check_coming(size: int, fields: int) -> None:
    """See that a head that has not come whole is small enough so far.

    Raises:
        HeadersTooLarge: it is not.
    """
    if fields > MAX_FIELDS:
        raise HeadersTooLarge(f"more than {MAX_FIELDS} header fields")
    if size > MAX_HEAD_BYTES:
        raise HeadersTooLarge(f"URL and header fields have more than {MAX_HEAD_BYTES:,} bytes")


def check_head(url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """See that a whole head is small enough. Raises ``HeadersTooLarge``."""
    size = len(url) + sum(len(name) + len(value) + 4 for name, value in headers)
    check_coming(size, len(headers))


class FramingCounter:
    """Counts what a chunked body has beside its data."""

    __slots__ = ("_excess", "_trailers")

    def __init__(self) -> None:
        self._excess = 0
        self._trailers = 0

    def add_data(self, size: int) -> None:
        """Count data, which comes off what came in all."""
        self._excess -= size

    def add_chunk(self) -> None:
        """Count a chunk: its size has come."""
        self._excess -= CHUNK_BYTES

    def add_trailer(self) -> None:
        """Count a trailer. Raises ``HeadersTooLarge``."""
        self._trailers += 1
        if self._trailers > MAX_FIELDS:
            raise HeadersTooLarge(f"more than {MAX_FIELDS} trailers")

    def add_piece(self, size: int) -> None:
        """Count all that came with one piece. Raises ``HeadersTooLarge``."""
        # What earlier chunks left unused is no credit for later ones, nor for the trailers: only
        # the chunk that is under way may have more to come.
        self._excess = max(-CHUNK_BYTES, self._excess + size)
        if self._excess > MAX_FRAMING_BYTES:
            words = f"chunk sizes and trailers have more than {MAX_FRAMING_BYTES:,} bytes"
            raise HeadersTooLarge(words)
