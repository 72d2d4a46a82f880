"""Splits texts into tokens and hashes the tokens, for the n-gram model.

A token is a run of letters and digits, or any other single character that is not white space. The
hash of a token ignores case.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.ngram.hash_functions import CHARACTER_BASE, CHARACTER_INVERSE, mix, powers

#: Number of a token's first characters whose order changes the hash. Of the later characters,
#: only the sum changes the hash.
ORDERED_CHARACTERS = 64


class Tokens(NamedTuple):
    """The tokens of a batch of texts: the hash, the start and the end of each token."""

    hashes: NDArray[np.uint32]
    #: Offset of the first code point of each token.
    first: NDArray[np.intp]
    #: Offset of the last code point of each token.
    last: NDArray[np.intp]


def tokenize(points: NDArray[np.uint32]) -> Tokens:
    """Returns the tokens of texts that are joined into one array of code points.

    The last code point must be white space.
    """
    units, word = _units(points)
    solid = units.astype(np.bool_)
    joined = word[1:] & word[:-1]
    begins = solid.copy()
    np.greater(solid[1:], joined, out=begins[1:])  # solid and not joined
    first = begins.nonzero()[0]
    last = (solid[:-1] > joined).nonzero()[0]
    # A token's hash is the sum of each character's unit times base**(index in the token). The code
    # uses base**(index in the batch) first, and then divides by base**(index of the token's start).
    sums = (units * powers(CHARACTER_BASE, len(units))).cumsum(dtype=np.uint32)[last]
    sums[1:] -= sums[:-1]
    sums *= powers(CHARACTER_INVERSE, len(units))[first]
    for number in (last - first >= ORDERED_CHARACTERS).nonzero()[0]:
        own = units[first[number] : last[number] + 1]
        factors = powers(CHARACTER_BASE, ORDERED_CHARACTERS)
        factors = np.append(factors, np.full(len(own) - ORDERED_CHARACTERS, factors[-1]))
        sums[number] = np.sum(own * factors, dtype=np.uint32)
    mix(sums)
    return Tokens(sums, first, last)


def _units(points: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Returns two arrays with an entry for each code point.

    The first array has the number that enters the token's hash, 0 for white space. The second array
    says whether the code point is a letter or a digit.
    """
    units, words = _tables()
    indices = points.astype(np.intp)
    found = units.take(indices, mode="clip")
    if points.max() >= len(units):
        beyond = np.flatnonzero(points >= len(units))
        found[beyond] = points[beyond] + np.uint32(1)
    return found, words.take(indices, mode="clip")


@cache
def _tables() -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """Returns the results of :func:`_units` for the code points below 65,536, as two tables.

    The last entry of the second table stands for all higher code points too. None of them counts as
    a letter or a digit.
    """
    characters = [chr(point) for point in range(65_536)]
    words = [c.isalnum() for c in characters]
    # The unit is the lower-case code point plus 1. A few letters have two characters in lower case:
    # they keep their case, so that no offset changes.
    folded = [ord(c.lower()) if len(c.lower()) == 1 else ord(c) for c in characters]
    spaces = [c.isspace() and not c.isalnum() for c in characters]
    units = [0 if space else unit + 1 for space, unit in zip(spaces, folded, strict=True)]
    return np.array(units, np.uint32), np.array(words, np.bool_)
