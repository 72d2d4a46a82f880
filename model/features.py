"""Texts to bags of hashed n-grams, a whole batch at a time.

Two families: runs of 2 to 4 characters, case and punctuation kept, and runs of 1 to 2 tokens,
case folded, where a token is a run of letters and digits or a single mark. The text is read as
Unicode code points, so that every script is treated alike and places in it are plain offsets.
Hashing as in Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

#: Part of every model's version. Change it with anything in this file that changes a feature.
PREPROCESSING = "chars2-4,tokens1-2,rows360448,sqrt,v1"
#: Rows of the weight table: as many as keep the weights of 41 authors below 20 MB.
ROWS = 360_448
#: Bits that hold a row; a batch's text numbers take what is left of 31.
ROW_BITS = (ROWS - 1).bit_length()
#: Most texts in one call of :func:`count`, so that text and row fit an int32, which sorts faster.
MOST_TEXTS = 1 << (31 - ROW_BITS)
#: In the place of what is no n-gram; above every other key, as there are fewer rows than 2**bits.
_NO_KEY = np.int32(2**31 - 1)
CHARACTERS = (2, 3, 4)
TOKENS = (1, 2)

_SPACE, _WORD, _MARK = 0, 1, 2
#: Odd, so that multiplying loses nothing modulo 2**32 (Knuth's golden ratio; FNV's prime).
_CHARACTER_BASE, _TOKEN_BASE = np.uint32(0x9E3779B1), np.uint32(0x01000193)
#: The character base's multiplicative inverse modulo 2**32.
_CHARACTER_INVERSE = np.uint32(pow(0x9E3779B1, -1, 1 << 32))
#: Characters of a token whose order counts; of those that follow only their sum does.
_DISTINCT = 64


class Family(NamedTuple):
    """N-grams of one kind and length: their rows, and the offsets that they span."""

    rows: NDArray[np.uint32]
    #: Offset of the first and of the last code point, in the batch's joined text.
    first: NDArray[np.int32]
    last: NDArray[np.int32]
    #: The number of the text in which each begins.
    text: NDArray[np.int32]
    #: Those of them, few, that span two texts and are none.
    crossing: NDArray[np.int64]


class Bags(NamedTuple):
    """Distinct rows of each text and how often each occurs. Text i is offsets[i]:offsets[i+1]."""

    rows: NDArray[np.int32]
    counts: NDArray[np.int32]
    offsets: NDArray[np.int32]

    def values(self, idf: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return sqrt(count) x idf for each row, each text scaled to length 1; float32, (rows,)."""
        values = np.sqrt(self.counts, dtype=np.float32) * idf[self.rows]
        sizes = np.diff(self.offsets)
        squares = np.zeros(len(sizes), np.float32)
        if len(values):
            some = sizes > 0
            squares[some] = np.add.reduceat(values * values, self.offsets[:-1][some])
        scale = 1 / np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny))
        return values * np.repeat(scale, sizes)


def count(texts: Sequence[str]) -> Bags:
    """Return the bag of each text.

    Raises:
        ValueError: more than ``MOST_TEXTS`` texts.
    """
    if len(texts) > MOST_TEXTS:
        raise ValueError(f"{len(texts)} texts at once, {MOST_TEXTS} at most")
    keys, counts = _tally(np.concatenate(list(_keys(texts))))
    # Every key but _NO_KEY, which is the last if it is there, has its text's number in front.
    bounds = np.full(len(texts) + 1, _NO_KEY)
    bounds[:-1] = np.arange(len(texts), dtype=np.int32) << np.int32(ROW_BITS)
    offsets: NDArray[np.int32] = np.searchsorted(keys, bounds).astype(np.int32)
    keys = keys[: offsets[-1]]
    return Bags(keys & np.int32((1 << ROW_BITS) - 1), counts[: len(keys)], offsets)


def _keys(texts: Sequence[str]) -> Iterator[NDArray[np.int32]]:
    """Yield for each n-gram of each family its text's number and its row in one integer."""
    for family in families(texts, owners(texts)):
        keys = family.text << np.int32(ROW_BITS)
        keys |= family.rows.view(np.int32)
        keys[family.crossing] = _NO_KEY
        yield keys


def _tally(keys: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """``np.unique`` with counts, in place and int32 throughout: half its time."""
    keys.sort()
    starts = np.flatnonzero(np.r_[len(keys) > 0, keys[1:] != keys[:-1]]).astype(np.int32)
    return keys[starts], np.diff(starts, append=np.int32(len(keys)))


def owners(texts: Sequence[str]) -> NDArray[np.int32]:
    """Return the number of the text that each code point of the joined text belongs to."""
    return np.repeat(np.arange(len(texts), dtype=np.int32), [len(text) for text in texts])


def families(texts: Sequence[str], text: NDArray[np.int32]) -> Iterator[Family]:
    """Yield every family of n-grams in ``texts``; ``text`` is what :func:`owners` returned.

    What spans two texts is no n-gram: see :attr:`Family.crossing`.
    """
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    places = np.arange(len(points), dtype=np.int32)
    for length, hashes in _runs(points + np.uint32(1), _CHARACTER_BASE, CHARACTERS):
        yield _family(_rows(hashes, length), places, places, text, length)
    hashes, first, last = _tokens(points, text)
    for length, runs in _runs(hashes, _TOKEN_BASE, TOKENS):
        yield _family(_rows(runs, 100 + length), first, last, text[first], length)


def _family(
    rows: NDArray[np.uint32],
    first: NDArray[np.int32],
    last: NDArray[np.int32],
    text: NDArray[np.int32],
    length: int,
) -> Family:
    """Return the family of runs of ``length`` units, each with its offsets and text."""
    begins, ends = text[: len(rows)], text[length - 1 :]
    crossing = np.flatnonzero(begins != ends)
    return Family(rows, first[: len(rows)], last[length - 1 :], begins, crossing)


def _runs(
    units: NDArray[np.uint32], base: np.uint32, lengths: tuple[int, ...]
) -> Iterator[tuple[int, NDArray[np.uint32]]]:
    """Yield (length, polynomial hash of the run that begins at each unit) for each length."""
    hashes = np.zeros(len(units), np.uint32)
    for length in range(1, max(lengths) + 1):
        hashes = hashes[: max(len(units) - length + 1, 0)] * base + units[length - 1 :]
        if length in lengths:
            yield length, hashes


def _tokens(
    points: NDArray[np.uint32], text: NDArray[np.int32]
) -> tuple[NDArray[np.uint32], NDArray[np.int32], NDArray[np.int32]]:
    """Return hash, first and last offset of each token."""
    units, kind = _units(points)
    solid = kind != _SPACE
    joined = (kind[1:] == kind[:-1]) & (kind[1:] == _WORD) & (text[1:] == text[:-1])
    begins, ends = solid.copy(), solid
    begins[1:] &= ~joined
    ends[:-1] &= ~joined
    first = np.flatnonzero(begins).astype(np.int32)
    last = np.flatnonzero(ends).astype(np.int32)
    if not len(first):
        return np.zeros(0, np.uint32), first, last
    # A character counts for its unit times the base to the power of its place in the token. Taken
    # to the power of its place in the batch, the sum is too large by that of the token's first.
    sums = np.add.reduceat(units * _powers(_CHARACTER_BASE, len(units)), first, dtype=np.uint32)
    hashes = sums * _powers(_CHARACTER_INVERSE, len(units))[first]
    for number in np.flatnonzero(last - first >= _DISTINCT):
        own = units[first[number] : last[number] + 1]
        powers = _powers(_CHARACTER_BASE, _DISTINCT)
        powers = np.append(powers, np.full(len(own) - _DISTINCT, powers[-1]))
        hashes[number] = np.sum(own * powers, dtype=np.uint32)
    return _mix(hashes), first, last


def _powers(base: np.uint32, number: int) -> NDArray[np.uint32]:
    """Return 1, base, base**2 and so on, modulo 2**32."""
    powers = np.full(number, base, np.uint32)
    powers[:1] = 1
    return np.cumprod(powers, dtype=np.uint32)


def _units(points: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Return for each code point what it counts for in a token, 0 for a space, and its kind."""
    units, kinds = _tables()
    beyond = np.flatnonzero(points >= len(units))
    known = points.astype(np.intp)
    known[beyond] = len(units) - 1
    found = units.take(known)
    found[beyond] = points[beyond] + np.uint32(1)
    return found, kinds.take(known)


@cache
def _tables() -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Unit and kind of each code point below 65,536; what lies above is a mark, as is the last."""
    characters = [chr(point) for point in range(65_536)]
    kinds = [_WORD if c.isalnum() else _SPACE if c.isspace() else _MARK for c in characters]
    # The lower case, plus one. A few letters fold to two: they stay, so that offsets do.
    folded = [ord(c.lower()) if len(c.lower()) == 1 else ord(c) for c in characters]
    units = [0 if kind == _SPACE else unit + 1 for unit, kind in zip(folded, kinds, strict=True)]
    return np.array(units, np.uint32), np.array(kinds, np.uint8)


def _rows(hashes: NDArray[np.uint32], family: int) -> NDArray[np.uint32]:
    mixed = _mix(hashes ^ np.uint32(family * 0x01000193))
    # Maps 32 bits to 0..ROWS-1 evenly without a division (Lemire 2016, "A fast alternative to
    # the modulo reduction").
    return ((mixed.astype(np.uint64) * np.uint64(ROWS)) >> np.uint64(32)).astype(np.uint32)


def _mix(hashes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The finaliser of MurmurHash3, shortened: every bit in reaches the high bits out."""
    hashes = hashes * np.uint32(0x85EBCA6B)
    hashes ^= hashes >> np.uint32(15)
    return hashes * np.uint32(0xC2B2AE35)
