"""Limits how many bytes a request's head, HTTP chunk sizes and trailers may have.

The HTTP parser accepts any size. So Byline counts the bytes as they arrive, before it checks the
client's API key.
"""

from __future__ import annotations

from collections.abc import Sequence

from api.accelerator.http.errors import HeadersTooLarge

#: Largest head, in bytes: its URL, and for each field its name, its value and 4 more bytes.
MAX_HEAD_BYTES = 32 * 1024
#: Largest number of fields of a head, and of trailers of a body.
MAX_FIELDS = 100
#: Bytes that a chunked body may have besides data: HTTP chunk sizes, chunk extensions, trailers.
MAX_FRAMING_BYTES = 16 * 1024
#: Bytes of each HTTP chunk, besides its data, that do not count towards MAX_FRAMING_BYTES.
CHUNK_BYTES = 16
#: Bytes that the parser gets at a time. A head or body that is still arriving may exceed its limit
#: by this many bytes.
PIECE_BYTES = 4 * 1024


def check_partial_head(size: int, fields: int) -> None:
    """Checks a head that has ``size`` bytes and ``fields`` header fields so far.

    Raises:
        HeadersTooLarge: the head exceeds a limit.
    """
    if fields > MAX_FIELDS:
        raise HeadersTooLarge(f"more than {MAX_FIELDS} header fields")
    if size > MAX_HEAD_BYTES:
        raise HeadersTooLarge(f"URL and header fields have more than {MAX_HEAD_BYTES:,} bytes")


def check_head(url: bytes, headers: Sequence[tuple[bytes, bytes]]) -> None:
    """Checks the size of a complete head.

    Raises:
        HeadersTooLarge: the head exceeds a limit.
    """
    size = len(url) + sum(len(name) + len(value) + 4 for name, value in headers)
    check_partial_head(size, len(headers))


class FramingCounter:
    """Counts the bytes of a chunked body that are not data: HTTP chunk sizes and trailers.

    The counter adds up all bytes that arrive, and subtracts the data.
    """

    __slots__ = ("_excess", "_trailers")

    def __init__(self) -> None:
        self._excess = 0
        self._trailers = 0

    def add_data(self, size: int) -> None:
        """Subtracts ``size`` bytes of data, because :meth:`add_piece` adds all bytes."""
        self._excess -= size

    def add_chunk(self) -> None:
        """Begins an HTTP chunk. Up to ``CHUNK_BYTES`` bytes around its data do not count."""
        self._excess -= CHUNK_BYTES

    def add_trailer(self) -> None:
        """Counts one trailer: a header field after the body.

        Raises:
            HeadersTooLarge: the body has too many trailers.
        """
        self._trailers += 1
        if self._trailers > MAX_FIELDS:
            raise HeadersTooLarge(f"more than {MAX_FIELDS} trailers")

    def add_piece(self, size: int) -> None:
        """Adds ``size`` received bytes, both data and other bytes.

        Raises:
            HeadersTooLarge: the bytes that are not data exceed the limit.
        """
        # If an earlier chunk used fewer bytes than allowed, later chunks and trailers may not use
        # the difference. Only the current chunk may still use its bytes.
        self._excess = max(-CHUNK_BYTES, self._excess + size)
        if self._excess > MAX_FRAMING_BYTES:
            reason = f"chunk sizes and trailers have more than {MAX_FRAMING_BYTES:,} bytes"
            raise HeadersTooLarge(reason)
