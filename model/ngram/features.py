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
#: Lengths of runs, each one more than the last.
CHARACTERS = (2, 3, 4)
TOKENS = (1, 2)
#: Between the texts of a batch, and after the last: no n-gram holds any of it. There are as many
#: characters after the last text as a run takes in that begins there, and a token, so that there
#: always is one.
_BETWEEN, _AFTER = " ", " . "

#: Odd, so that multiplying loses nothing modulo 2**32 (Knuth's golden ratio; FNV's prime).
_CHARACTER_BASE, _TOKEN_BASE = np.uint32(0x9E3779B1), np.uint32(0x01000193)
#: The character base's multiplicative inverse modulo 2**32.
_CHARACTER_INVERSE = np.uint32(pow(0x9E3779B1, -1, 1 << 32))
#: Tell the families apart.
_CHARACTER_SEEDS = np.array([[length] for length in CHARACTERS], np.uint32) * np.uint32(0x01000193)
_TOKEN_SEEDS = np.array([[100 + length] for length in TOKENS], np.uint32) * np.uint32(0x01000193)
#: Characters of a token whose order counts; of those that follow only their sum does.
_DISTINCT = 64
#: Powers of a base that are kept: enough for a batch of some 250 messages.
_POWERS = 1 << 16


class Family(NamedTuple):
    """N-grams of one kind and length: their rows, and the offsets that they span."""

    rows: NDArray[np.int32]
    #: Offset of the first and of the last code point.
    first: NDArray[np.intp]
    last: NDArray[np.intp]


class Bags(NamedTuple):
    """Distinct rows of each text and how often each occurs. Text i is offsets[i]:offsets[i+1]."""

    rows: NDArray[np.int32]
    counts: NDArray[np.int32]
    offsets: NDArray[np.int32]

    def values(self, idf: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return sqrt(count) x idf for each row, each text scaled to length 1; float32, (rows,)."""
        values = np.sqrt(self.counts, dtype=np.float32)
        values *= idf.take(self.rows)
        sizes = self.offsets[1:] - self.offsets[:-1]
        squares = np.zeros(len(sizes), np.float32)
        if len(values):
            some = sizes > 0
            squares[some] = np.add.reduceat(values * values, self.offsets[:-1][some])
        scale = 1 / np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny))
        values *= scale.repeat(sizes)
        return values


class _Tokens(NamedTuple):
    """Hash, first and last offset of each token; of the one in :data:`_AFTER`, too."""

    hashes: NDArray[np.uint32]
    first: NDArray[np.intp]
    last: NDArray[np.intp]


class _Grid(NamedTuple):
    """Rows of n-grams of all lengths: one array, and two views of it."""

    every: NDArray[np.uint32]
    #: (lengths, code points): for each length the run that begins at each.
    characters: NDArray[np.uint32]
    #: (lengths, tokens)
    tokens: NDArray[np.uint32]


def count(texts: Sequence[str]) -> Bags:
    """Return the bag of each text.

    Raises:
        ValueError: more than ``MOST_TEXTS`` texts.
    """
    if len(texts) > MOST_TEXTS:
        raise ValueError(f"{len(texts)} texts at once, {MOST_TEXTS} at most")
    # A key is a row with its text's number in front, so that a text's keys begin at its bound.
    bounds = np.arange(len(texts) + 1, dtype=np.int32) << np.int32(ROW_BITS)
    bounds[-1] = _NO_KEY
    keys, counts = _prediction_stats(_keys(texts, bounds))
    offsets: NDArray[np.int32] = keys.searchsorted(bounds).astype(np.int32)
    keys = keys[: offsets[-1]]
    return Bags(keys & np.int32((1 << ROW_BITS) - 1), counts[: len(keys)], offsets)


def _keys(texts: Sequence[str], bounds: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return a key for each n-gram of each text, and ``_NO_KEY`` for what is none; in no order."""
    points = _points(texts)
    tokens = _tokens(points)
    grid = _rows(points, tokens)
    keys, characters, tokenwise = (array.view(np.int32) for array in grid)
    # The bound of each place's text; _NO_KEY between them, and as far as any run reaches.
    sizes = np.array([len(text) + len(_BETWEEN) for text in texts] + [2 * len(_AFTER)])
    ends = sizes[:-1].cumsum() - 1
    owners = bounds.repeat(sizes)
    owners[ends] = _NO_KEY
    owner = owners[: len(points)].copy()
    for line, length in enumerate(CHARACTERS):
        # _NO_KEY has all bits set, and so has what it is combined with.
        owner |= owners[length - 1 :][: len(points)]
        characters[line] |= owner
    tokenwise |= owners[tokens.first]
    # The last token of a text begins no pair. Where it has none, that is another text's last.
    tokenwise[1, tokens.first.searchsorted(ends) - 1] = _NO_KEY
    return keys


def _prediction_stats(keys: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """``np.unique`` with counts, in place and int32 throughout: half its time."""
    keys.sort()
    first = np.empty(len(keys) + 1, np.bool_)
    first[0] = first[-1] = True
    np.not_equal(keys[1:], keys[:-1], out=first[1:-1])
    starts = first.nonzero()[0]
    counts = starts.astype(np.int32)
    return keys.take(starts[:-1]), counts[1:] - counts[:-1]


def families(text: str) -> Iterator[Family]:
    """Yield every family of n-grams in ``text``, those of characters first."""
    points = _points([text])
    tokens = _tokens(points)
    grid = _rows(points, tokens)
    places = np.arange(len(text))
    for rows, length in zip(grid.characters, CHARACTERS, strict=True):
        yield _family(rows, places, places, length)
    for rows, length in zip(grid.tokens, TOKENS, strict=True):
        yield _family(rows, tokens.first[:-1], tokens.last[:-1], length)


def _family(
    rows: NDArray[np.uint32], first: NDArray[np.intp], last: NDArray[np.intp], length: int
) -> Family:
    """Return the family of runs of ``length`` units, each with its offsets."""
    last = last[length - 1 :]
    return Family(rows[: len(last)].view(np.int32), first[: len(last)], last)


def _points(texts: Sequence[str]) -> NDArray[np.uint32]:
    """Return the code points of the texts, joined by ``_BETWEEN``, and of ``_AFTER``."""
    joined = _BETWEEN.join(texts) + _AFTER
    return np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)


def _rows(points: NDArray[np.uint32], tokens: _Tokens) -> _Grid:
    """Return the row of each n-gram; any row where none begins."""
    places, number = len(CHARACTERS) * len(points), len(tokens.hashes)
    every = np.empty(places + len(TOKENS) * number, np.uint32)
    characters = every[:places].reshape(len(CHARACTERS), len(points))
    tokenwise = every[places:].reshape(len(TOKENS), number)
    _runs(points + np.uint32(1), _CHARACTER_BASE, CHARACTERS, characters)
    _runs(tokens.hashes, _TOKEN_BASE, TOKENS, tokenwise)
    characters ^= _CHARACTER_SEEDS
    tokenwise ^= _TOKEN_SEEDS
    _mix(every)
    # Maps 32 bits to 0..ROWS-1 evenly without a division (Lemire 2016, "A fast alternative to
    # the modulo reduction").
    product = every.astype(np.uint64)
    product *= np.uint64(ROWS)
    product >>= np.uint64(32)
    every[:] = product
    return _Grid(every, characters, tokenwise)


def _runs(
    units: NDArray[np.uint32], base: np.uint32, lengths: Sequence[int], lines: NDArray[np.uint32]
) -> None:
    """Write the polynomial hash of the run that begins at each unit, a line for each length."""
    shorter = units
    for number, length in enumerate(lengths):
        line = lines[number, : len(units) - length + 1]
        if length == 1:
            line[:] = units
        else:
            np.multiply(shorter[: len(line)], base, out=line)
            line += units[length - 1 :]
        shorter = line


def _tokens(points: NDArray[np.uint32]) -> _Tokens:
    """Return the tokens of texts that :func:`_points` joined."""
    units, word = _units(points)
    solid = units.astype(np.bool_)
    joined = word[1:] & word[:-1]
    begins = solid.copy()
    np.greater(solid[1:], joined, out=begins[1:])  # the one, and not the other
    first = begins.nonzero()[0]
    last = (solid[:-1] > joined).nonzero()[0]
    # A character counts for its unit times the base to the power of its place in the token. Taken
    # to the power of its place in the batch, the sum is too large by that of the token's first.
    sums = (units * _powers(_CHARACTER_BASE, len(units))).cumsum(dtype=np.uint32)[last]
    sums[1:] -= sums[:-1]
    sums *= _powers(_CHARACTER_INVERSE, len(units))[first]
    for number in (last - first >= _DISTINCT).nonzero()[0]:
        own = units[first[number] : last[number] + 1]
        powers = _powers(_CHARACTER_BASE, _DISTINCT)
        powers = np.append(powers, np.full(len(own) - _DISTINCT, powers[-1]))
        sums[number] = np.sum(own * powers, dtype=np.uint32)
    _mix(sums)
    return _Tokens(sums, first, last)


def _powers(base: np.uint32, number: int) -> NDArray[np.uint32]:
    """Return 1, base, base**2 and so on, modulo 2**32."""
    return _kept_powers(base)[:number] if number <= _POWERS else _new_powers(base, number)


@cache
def _kept_powers(base: np.uint32) -> NDArray[np.uint32]:
    return _new_powers(base, _POWERS)


def _new_powers(base: np.uint32, number: int) -> NDArray[np.uint32]:
    powers = np.full(number, base, np.uint32)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint32)


def _units(points: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Return for each code point what it counts for in a token, 0 for a space, and if in a word."""
    units, words = _tables()
    known = points.astype(np.intp)
    found = units.take(known, mode="clip")
    if points.max() >= len(units):
        beyond = np.flatnonzero(points >= len(units))
        found[beyond] = points[beyond] + np.uint32(1)
    return found, words.take(known, mode="clip")


@cache
def _tables() -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Unit of each code point below 65,536, and if in a word: not the last, nor what lies above."""
    characters = [chr(point) for point in range(65_536)]
    words = [c.isalnum() for c in characters]
    # The lower case, plus one. A few letters fold to two: they stay, so that offsets do.
    folded = [ord(c.lower()) if len(c.lower()) == 1 else ord(c) for c in characters]
    spaces = [c.isspace() and not c.isalnum() for c in characters]
    units = [0 if space else unit + 1 for space, unit in zip(spaces, folded, strict=True)]
    return np.array(units, np.uint32), np.array(words, np.bool_)


def _mix(hashes: NDArray[np.uint32]) -> None:
    """The finaliser of MurmurHash3, shortened, in place: every bit in reaches the high bits out."""
    hashes *= np.uint32(0x85EBCA6B)
    hashes ^= hashes >> np.uint32(15)
    hashes *= np.uint32(0xC2B2AE35)
