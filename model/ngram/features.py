"""Turns texts into hashed n-grams and their counts, the features of the n-gram model.

The n-grams are runs of 3 or 4 characters as written, and runs of 1 to 3 tokens in lower case
(:mod:`model.ngram.tokenizer`). A vocabulary maps the hash of each n-gram that the model knows to a
row of the weight table (:mod:`model.ngram.vocabulary`). An offset is an index into the Python
string.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.ngram.hash_functions import CHARACTER_BASE, TOKEN_BASE, mix
from model.ngram.tokenizer import Tokens, tokenize
from model.ngram.vocabulary import ROW_BITS, Vocabulary

#: Part of every model's version. Change this text with every change of this file, of
#: hash_functions.py, tokenizer.py or vocabulary.py that changes a feature.
PREPROCESSING = "chars3-4,tokens1-3,known524288,sqrt,v2"
#: Largest number of texts in a call of :func:`count`: text and row fit into an int32, which sorts
#: faster than an int64. The largest int32 is no key of an n-gram.
MAX_TEXTS = (1 << (31 - ROW_BITS)) - 1
#: Key of a position where no known n-gram begins. This key is greater than all other keys.
_NO_KEY = np.int32(2**31 - 1)
#: Lengths of the runs of characters. Each length is the previous length plus 1.
CHARACTERS = (3, 4)
#: Lengths of the runs of tokens. Each length is the previous length plus 1.
TOKENS = (1, 2, 3)
#: A line of TOKENS, and a place from the end of a text, 1 for the last token: shape (places, 1). No
#: run of the line's length begins at the place.
_LINES, _FROM_END = np.array(
    [[[line], [place]] for line, length in enumerate(TOKENS) for place in range(1, length)]
).swapaxes(0, 1)
#: Separates the texts of a batch. No n-gram may contain a separator.
_BETWEEN = " "
#: Follows the last text of a batch. No n-gram may contain it. It has at least one character less
#: than the longest run of characters, and exactly one token less than the longest run of tokens.
_AFTER = " .. "

#: A number for each length of a run of characters, so that different kinds of runs hash
#: differently.
_CHARACTER_SEEDS = np.array([[length] for length in CHARACTERS], np.uint32) * np.uint32(0x01000193)
#: A number for each length of a run of tokens.
_TOKEN_SEEDS = np.array([[100 + length] for length in TOKENS], np.uint32) * np.uint32(0x01000193)


class Family(NamedTuple):
    """All n-grams of one kind and length in a text, for example all runs of 3 characters."""

    #: Hash of each n-gram.
    hashes: NDArray[np.uint32]
    #: Offset of the first code point of each n-gram.
    first: NDArray[np.intp]
    #: Offset of the last code point of each n-gram.
    last: NDArray[np.intp]


class Bags(NamedTuple):
    """The distinct known n-grams of each text, as rows of the weight table, and their counts.

    The rows of text i are ``rows[offsets[i]:offsets[i + 1]]``, and the counts of text i are
    ``counts[offsets[i]:offsets[i + 1]]``.
    """

    #: Rows of the weight table, ascending within each text.
    rows: NDArray[np.int32]
    #: How often each row occurs in its text. It has the shape of ``rows``.
    counts: NDArray[np.int32]
    #: Start of each text in ``rows``, and the end of the last text, shape (texts + 1,).
    offsets: NDArray[np.int32]

    def values(self, row_weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """Returns the feature values of all texts: float32, with the shape of ``rows``.

        A value is ``sqrt(count) * row_weights[row]``, scaled so that the values of each text have
        the Euclidean norm 1, unless all are 0. ``row_weights`` has the shape (ROWS,).
        """
        values = np.sqrt(self.counts, dtype=np.float32)
        values *= row_weights.take(self.rows)
        sizes = self.offsets[1:] - self.offsets[:-1]
        squares = np.zeros(len(sizes), np.float32)
        if len(values):
            some = sizes > 0
            squares[some] = np.add.reduceat(values * values, self.offsets[:-1][some])
        scale = 1 / np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny))
        values *= scale.repeat(sizes)
        return values


class _Grid(NamedTuple):
    """The hashes of all n-grams of a batch, as one array and two views of this array.

    One view is the part of the array for runs of characters. The other view is the part for runs
    of tokens.
    """

    every: NDArray[np.uint32]
    #: View, shape (lengths, code points): the run of each length that begins at each code point.
    characters: NDArray[np.uint32]
    #: View, shape (lengths, tokens): the run of each length that begins at each token.
    tokens: NDArray[np.uint32]


def count(texts: Sequence[str], vocabulary: Vocabulary) -> Bags:
    """Returns the distinct known n-grams of each text, and how often each occurs.

    Raises:
        ValueError: there are more than ``MAX_TEXTS`` texts.
    """
    if len(texts) > MAX_TEXTS:
        raise ValueError(f"{len(texts)} texts at once, {MAX_TEXTS} at most")
    # A key has the text's number in its high bits and the row in its low bits. So the sorted keys
    # of a text begin at the text's bound.
    bounds = np.arange(len(texts) + 1, dtype=np.int32) << np.int32(ROW_BITS)
    bounds[-1] = _NO_KEY
    keys, counts = _unique_counts(_keys(texts, bounds, vocabulary))
    offsets: NDArray[np.int32] = keys.searchsorted(bounds).astype(np.int32)
    keys = keys[: offsets[-1]]
    return Bags(keys & np.int32((1 << ROW_BITS) - 1), counts[: len(keys)], offsets)


def _keys(
    texts: Sequence[str], bounds: NDArray[np.int32], vocabulary: Vocabulary
) -> NDArray[np.int32]:
    """Returns a key for each n-gram, in the order of ``_Grid.every``.

    A key's high bits are the text's number, and its low bits are the row. The key is ``_NO_KEY``
    where no known n-gram begins. ``bounds`` has each text's lowest possible key, and ends with
    ``_NO_KEY``.
    """
    points = _points(texts)
    tokens = tokenize(points)
    grid = _hashes(points, tokens)
    keys, known = vocabulary.find(grid.every)
    np.putmask(keys, ~known, _NO_KEY)
    middle = grid.characters.size
    characters = keys[:middle].reshape(grid.characters.shape)
    tokenwise = keys[middle:].reshape(grid.tokens.shape)
    # The bound of the text that each code point belongs to. A separator has _NO_KEY, and so have
    # the code points after the last text.
    sizes = np.array([len(text) + len(_BETWEEN) for text in texts] + [2 * len(_AFTER)])
    ends = sizes[:-1].cumsum() - 1
    owners = bounds.repeat(sizes)
    owners[ends] = _NO_KEY
    # All bits of _NO_KEY are set. So a run that reaches a code point with _NO_KEY gets _NO_KEY.
    owner = owners[: len(points)] | owners[1:][: len(points)]
    for line, length in enumerate(CHARACTERS):
        owner |= owners[length - 1 :][: len(points)]
        characters[line] |= owner
    tokenwise |= owners[tokens.first]
    # No pair begins at the last token of a text, and no triple at the last two. For a text without
    # tokens, the index points to a token of an earlier text or of _AFTER. Nothing begins there
    # either.
    tokenwise[_LINES, tokens.first.searchsorted(ends) - _FROM_END] = _NO_KEY
    return keys


def _unique_counts(keys: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Returns the distinct keys, sorted, and how often each occurs. Sorts ``keys`` in place.

    This takes half the time of ``np.unique``, because it sorts in place and uses only int32.
    """
    keys.sort()
    first = np.empty(len(keys) + 1, np.bool_)
    first[0] = first[-1] = True
    np.not_equal(keys[1:], keys[:-1], out=first[1:-1])
    starts = first.nonzero()[0]
    counts = starts.astype(np.int32)
    return keys.take(starts[:-1]), counts[1:] - counts[:-1]


def families(text: str) -> Iterator[Family]:
    """Yields a family for each kind and length of the n-grams of ``text``, characters first."""
    points = _points([text])
    tokens = tokenize(points)
    grid = _hashes(points, tokens)
    offsets = np.arange(len(text))
    for hashes, length in zip(grid.characters, CHARACTERS, strict=True):
        yield _family(hashes, offsets, offsets, length)
    own = len(tokens.first) - TOKENS[-1] + 1  # without the tokens of _AFTER
    for hashes, length in zip(grid.tokens, TOKENS, strict=True):
        yield _family(hashes, tokens.first[:own], tokens.last[:own], length)


def _family(
    hashes: NDArray[np.uint32], first: NDArray[np.intp], last: NDArray[np.intp], length: int
) -> Family:
    """Returns the n-grams that are runs of ``length`` units, either characters or tokens.

    ``hashes[i]`` is the hash of the run that begins at unit i. ``first[i]`` and ``last[i]`` are the
    offsets of this unit's first and last code point.
    """
    last = last[length - 1 :]
    return Family(hashes[: len(last)], first[: len(last)], last)


def _points(texts: Sequence[str]) -> NDArray[np.uint32]:
    """Returns the code points of all texts, joined into one array.

    The separator ``_BETWEEN`` stands between two texts. ``_AFTER`` follows the last text.
    """
    # The code reads code points, so it treats every writing system alike.
    joined = _BETWEEN.join(texts) + _AFTER
    return np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)


def _hashes(points: NDArray[np.uint32], tokens: Tokens) -> _Grid:
    """Returns the hash of each n-gram of a batch.

    A hash has no meaning if no n-gram of its length begins at its code point or token.
    """
    middle, number = len(CHARACTERS) * len(points), len(tokens.hashes)
    every = np.empty(middle + len(TOKENS) * number, np.uint32)
    characters = every[:middle].reshape(len(CHARACTERS), len(points))
    tokenwise = every[middle:].reshape(len(TOKENS), number)
    _runs(points + np.uint32(1), CHARACTER_BASE, CHARACTERS, characters)
    _runs(tokens.hashes, TOKEN_BASE, TOKENS, tokenwise)
    characters ^= _CHARACTER_SEEDS
    tokenwise ^= _TOKEN_SEEDS
    mix(every)
    return _Grid(every, characters, tokenwise)


def _runs(
    units: NDArray[np.uint32], base: np.uint32, lengths: Sequence[int], lines: NDArray[np.uint32]
) -> None:
    """Writes the polynomial hash of each run of units into ``lines``.

    A unit is a code point or a token's hash. ``lines[k, i]`` is the hash of the ``lengths[k]``
    units from unit i on.
    """
    empty = iter(lines)
    if 1 in lengths:
        next(empty)[:] = units
    runs = units
    for length in range(2, lengths[-1] + 1):
        line = next(empty)[: len(units) - length + 1] if length in lengths else None
        runs = np.multiply(runs[:-1], base, out=line)
        runs += units[length - 1 :]
