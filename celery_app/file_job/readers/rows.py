"""The rows of an input file, in blocks. A block is a group of rows that the job sends together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from msgspec import UNSET, Raw, UnsetType

from tasks.errors import InvalidMessage
from tasks.messages import Failure
from tasks.work import size

#: Largest number of rows in a block. With more rows, replies wait for longer while the event loop
#: handles a block, and the workers may idle.
BLOCK_ROWS = 128
#: Size from which a block gets no further row, in units of :mod:`tasks.work`.
BLOCK_SIZE = 256


class Row(NamedTuple):
    """One row of the input: its text, or the reason why the row can't be sent."""

    text: str
    #: The row's own name in JSON, which its result repeats.
    ref: Raw | UnsetType = UNSET
    #: Set if the row can't be sent. Then ``text`` is empty.
    failure: Failure | None = None


class Block(NamedTuple):
    """Consecutive rows of the input, which the job sends together."""

    rows: list[Row]
    #: Where the first row after the block begins: a byte position, or a row number of Parquet.
    end: int
    #: Size of the texts, in units of :mod:`tasks.work`.
    size: int


def unusable(detail: str, ref: Raw | UnsetType = UNSET, code: str = InvalidMessage.code) -> Row:
    """Returns a row that can't be sent, with the reason ``detail``.

    ``code`` is the error code that the HTTP API has for this reason.
    """
    return Row("", ref, Failure("", code, detail))


def in_blocks(rows: Iterable[tuple[Row, int]], at_pause: Callable[[], bool]) -> Iterator[Block]:
    """Gathers rows into blocks, and yields the blocks.

    Each item of ``rows`` is a row, and the place where the next row begins. ``at_pause()`` returns
    whether the input may have no further row yet. If so, the block ends, so that the rows read so
    far need not wait for a slow input.
    """
    block: list[Row] = []
    total = end = 0
    for row, end in rows:
        block.append(row)
        total += size(row.text)
        if len(block) >= BLOCK_ROWS or total >= BLOCK_SIZE or at_pause():
            yield Block(block, end, total)
            block, total = [], 0
    if block:
        yield Block(block, end, total)
