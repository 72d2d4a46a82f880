"""The n-grams that a model knows, each with a row of the weight table.

A perfect hash function finds an n-gram's row: a displacement for each bucket of n-grams, chosen so
that no two n-grams get the same row (Fox et al. 1992, "Practical minimal perfect hash functions for
large databases"). A row keeps its n-gram's hash, which tells the n-gram from unknown ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Number of bits of a row number.
ROW_BITS = 19
#: Number of rows of the weight table. The weights of 41 authors then take 30 MB.
ROWS = 1 << ROW_BITS
#: Largest number of n-grams that a model knows. In a fuller table, some n-grams get no row.
MAX_KNOWN = 400_000
#: Number of buckets of n-grams. A power of two.
BUCKETS = ROWS // 4
#: Number of displacements to choose from, for each bucket.
DISPLACEMENTS = 256
#: The bits of a hash that are the number of its bucket.
_BUCKET = np.uint32(BUCKETS - 1)
#: The bits of a hash that each displacement flips.
_FLIPS = np.arange(DISPLACEMENTS, dtype=np.uint32) * np.uint32(0x9E3779B1)
#: An odd number, with about as many bits 1 as bits 0.
_MULTIPLIER = np.uint32(0x85EBCA6B)
#: This many low bits of a product are not part of the row number.
_SHIFT = np.uint32(32 - ROW_BITS)


class Vocabulary:
    """The known n-grams, as two tables for a perfect hash function."""

    def __init__(self, displacements: NDArray[np.uint8], hashes: NDArray[np.uint32]) -> None:
        """``displacements`` has the shape (BUCKETS,).

        ``hashes`` has the hash of each row's n-gram, and 0 for a row without an n-gram: (ROWS,).
        """
        self.displacements = displacements
        self.hashes = hashes
        self._flips = _FLIPS.take(displacements)

    def find(self, hashes: NDArray[np.uint32]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Returns a row for each hash of an n-gram, and whether the n-gram is known.

        Both results have the shape of ``hashes``. The row of an unknown n-gram has no meaning.
        """
        places = self._flips.take(hashes & _BUCKET)
        places ^= hashes
        rows = _rows(places)
        return rows, self.hashes.take(rows) == hashes


def build(hashes: NDArray[np.uint32]) -> Vocabulary:
    """Returns a vocabulary of n-grams. ``hashes`` are their hashes, each only once.

    If there are more than ``MAX_KNOWN`` n-grams, only the first ones are known.
    """
    hashes = hashes[:MAX_KNOWN]
    buckets = hashes & _BUCKET
    order = np.argsort(buckets, kind="stable")
    sizes = np.bincount(buckets, minlength=BUCKETS)
    ends = np.cumsum(sizes)
    displacements, table = np.zeros(BUCKETS, np.uint8), np.zeros(ROWS, np.uint32)
    taken = np.zeros(ROWS, np.bool_)
    # Large buckets are hard to place, so they come first.
    for size in range(int(sizes.max()), 0, -1):
        chosen = np.flatnonzero(sizes == size)
        members = hashes[order[ends[chosen, None] - 1 - np.arange(size)]]
        for displacement in range(DISPLACEMENTS):
            rows = _rows(members ^ _FLIPS[displacement])
            placed = _claim(rows, taken)
            displacements[chosen[placed]] = displacement
            table[rows[placed]] = members[placed]
            chosen, members = chosen[~placed], members[~placed]
            if not len(chosen):
                break
    return Vocabulary(displacements, table)


def _claim(rows: NDArray[np.int32], taken: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Returns which buckets get all the rows that they need, and marks these rows as taken.

    ``rows`` has a line of rows for each bucket. A row goes to one bucket only.
    """
    numbers = np.arange(len(rows))
    ordered = np.sort(rows, 1)
    possible = ~taken[rows].any(1) & (ordered[:, 1:] != ordered[:, :-1]).all(1)
    owners = np.full(len(taken), -1)
    owners[rows[possible]] = numbers[possible, None]
    placed = possible & (owners[rows] == numbers[:, None]).all(1)
    taken[rows[placed]] = True
    return placed


def _rows(places: NDArray[np.uint32]) -> NDArray[np.int32]:
    """Returns the row of each n-gram. ``places`` are the hashes, changed by the displacements."""
    rows: NDArray[np.uint32] = places * _MULTIPLIER
    rows >>= _SHIFT
    return rows.view(np.int32)
