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
CHARACTERS = (2, 3, 4)
TOKENS = (1, 2)

_SPACE, _WORD, _MARK = 0, 1, 2
#: Odd, so that multiplying loses nothing modulo 2**32 (Knuth's golden ratio; FNV's prime).
_CHARACTER_BASE, _TOKEN_BASE = np.uint32(0x9E3779B1), np.uint32(0x01000193)
#: Tokens differ by their first 64 characters.
_POWERS = np.cumprod(np.r_[np.uint32(1), np.full(63, _CHARACTER_BASE)], dtype=np.uint32)


class Family(NamedTuple):
    """N-grams of one kind and length: their rows, and the offsets that they span."""

    rows: NDArray[np.uint32]
    #: Offset of the first and of the last code point, in the batch's joined text.
    first: NDArray[np.int32]
    last: NDArray[np.int32]


class Bags(NamedTuple):
    """Distinct rows of each text and how often each occurs. Text i is offsets[i]:offsets[i+1]."""

    rows: NDArray[np.int32]
    counts: NDArray[np.int32]
    offsets: NDArray[np.int32]

    def values(self, idf: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return sqrt(count) x idf for each row, each text scaled to length 1; float32, (rows,)."""
        values = np.sqrt(self.counts, dtype=np.float32) * idf[self.rows]
        sizes = np.diff(self.offsets)
        text = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        squares = np.bincount(text, values * values, len(sizes))
        scale = 1 / np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny))
        return values * scale.astype(np.float32)[text]


def count(texts: Sequence[str]) -> Bags:
    """Return the bag of each text.

    Raises:
        ValueError: more than ``MOST_TEXTS`` texts.
    """
    if len(texts) > MOST_TEXTS:
        raise ValueError(f"{len(texts)} texts at once, {MOST_TEXTS} at most")
    text = owners(texts)
    found = [
        (text[family.first] << np.int32(ROW_BITS)) | family.rows.view(np.int32)
        for family in families(texts, text)
    ]
    keys, counts = _tally(np.concatenate(found))
    sizes = np.bincount(keys >> ROW_BITS, minlength=len(texts))
    offsets = np.zeros(len(texts) + 1, np.int32)
    np.cumsum(sizes, out=offsets[1:])
    return Bags(keys & np.int32((1 << ROW_BITS) - 1), counts, offsets)


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

    An n-gram never spans two texts.
    """
    points = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    places = np.arange(len(points), dtype=np.int32)
    for length, hashes in _runs(points + np.uint32(1), _CHARACTER_BASE, CHARACTERS):
        inside = text[length - 1 :] == text[: len(hashes)]
        first = places[: len(hashes)][inside]
        yield Family(_rows(hashes[inside], length), first, first + np.int32(length - 1))
    hashes, first, last = _tokens(points, text)
    for length, runs in _runs(hashes, _TOKEN_BASE, TOKENS):
        inside = text[first[length - 1 :]] == text[first[: len(runs)]]
        yield Family(
            _rows(runs[inside], 100 + length),
            first[: len(runs)][inside],
            last[length - 1 :][inside],
        )


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
    folded, kinds = _tables()
    known = np.minimum(points, np.uint32(len(kinds) - 1))
    kind = kinds[known]
    if not kind.any():
        nowhere = np.zeros(0, np.int32)
        return np.zeros(0, np.uint32), nowhere, nowhere
    joined = (kind[1:] == kind[:-1]) & (kind[1:] == _WORD) & (text[1:] == text[:-1])
    begins = (kind != _SPACE) & ~np.r_[False, joined]
    ends = (kind != _SPACE) & ~np.r_[joined, False]
    first = np.flatnonzero(begins).astype(np.int32)
    last = np.flatnonzero(ends).astype(np.int32)
    units = np.where(points == known, folded[known], points) + np.uint32(1)
    units[kind == _SPACE] = 0  # what follows a token, up to the next one, adds nothing
    number = np.maximum(np.cumsum(begins, dtype=np.int32) - 1, 0)
    place = np.arange(len(points), dtype=np.int32) - first[number]
    terms = units * _POWERS[np.clip(place, 0, len(_POWERS) - 1)]
    return _mix(np.add.reduceat(terms, first, dtype=np.uint32)), first, last


@cache
def _tables() -> tuple[NDArray[np.uint32], NDArray[np.uint8]]:
    """Lower case and kind of each code point below 65,536; what lies above counts as a mark."""
    characters = [chr(point) for point in range(65_536)]
    # A few letters fold to two: they stay, so that offsets do.
    folded = [ord(c.lower()) if len(c.lower()) == 1 else ord(c) for c in characters]
    kinds = [_WORD if c.isalnum() else _SPACE if c.isspace() else _MARK for c in characters]
    return np.array(folded, np.uint32), np.array(kinds, np.uint8)


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
