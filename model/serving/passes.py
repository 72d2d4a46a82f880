"""Cuts a batch of texts into forward passes that fit into the device's memory.

A *cell* is the unit of work and of memory: one message if the model takes texts, and one token of
a padded batch if the model takes tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from model.serving.device import Device
from model.serving.model_checks import check_encoded
from model.types import Bucket, Encoded, Grid, Model, Padded


class Pass(NamedTuple):
    """A planned forward pass: some texts of a batch, padded to one shape."""

    #: Indices, within the batch, of the texts in this pass, in the order of its rows.
    indices: Sequence[int]
    #: Rows that ``forward`` must return. The rows beyond the last text are padding.
    rows: int
    #: Returns the argument of ``forward``, on the device.
    batch: Callable[[], Any]
    #: Cells that the device computes, padding included.
    cells: int
    #: Cells that are not padding.
    filled: int


Encode = Callable[[Sequence[str]], Encoded]


class Planner(Protocol):
    """Divides the texts of a batch among forward passes of a model."""

    def plan(self, texts: Sequence[str], max_cells: int) -> Iterator[Pass]:
        """Yields forward passes that together hold each text once.

        A pass has at most ``max_cells`` cells; only a pass of a single text may have more. A cell
        is a text, or a token of the padded pass if the model takes tokens.
        """

    def warm_up(self, max_cells: int) -> Iterator[Pass]:
        """Yields the passes that a worker runs before it takes messages, the smallest first."""


class TextPlanner:
    """Plans the passes of a :class:`~model.types.Model`, which takes texts.

    A pass holds texts that follow one another in the batch. A cell, the unit of a pass's size, is
    one text.
    """

    def __init__(self, model: Model[Any]) -> None:
        self._model = model
        self._largest = model.buckets[-1].messages

    def plan(self, texts: Sequence[str], max_cells: int) -> Iterator[Pass]:
        """Yields passes of consecutive texts.

        A pass holds at most ``max_cells`` texts. It also holds at most as many texts as the largest
        batch shape in the model's ``buckets``.
        """
        size = min(max_cells, self._largest)
        for start in range(0, len(texts), size):
            yield self._pass(range(start, min(start + size, len(texts))), texts)

    def warm_up(self, max_cells: int) -> Iterator[Pass]:
        """Yields one pass of made-up texts for each batch shape in the model's ``buckets``."""
        for bucket in self._model.buckets:
            yield self._pass(range(bucket.messages), warm_up_texts(bucket))

    def _pass(self, indices: range, texts: Sequence[str]) -> Pass:
        chosen = texts[indices.start : indices.stop]
        size = len(indices)
        return Pass(indices, size, lambda: self._model.prepare(chosen), size, size)


class SequencePlanner:
    """Plans the passes of a :class:`~model.types.SequenceModel`, which takes tokens.

    A pass holds texts of similar length. The first pass holds the longest texts. A cell, the unit
    of a pass's size, is one token.
    """

    def __init__(self, encode: Encode, grid: Grid, device: Device) -> None:
        self._encode = encode
        self._grid = grid
        self._device = device

    def plan(self, texts: Sequence[str], max_cells: int) -> Iterator[Pass]:
        """Encodes the texts, and yields passes of texts of similar length, the longest texts first.

        Raises:
            ValueError: ``encode`` did not return one sequence of tokens for each text, or returned
                a sequence without tokens or with more tokens than the model takes.
        """
        encoded = self._encode(texts)
        if len(encoded.offsets) != len(texts) + 1:
            raise ValueError("encode gave no sequence for each text")
        yield from self.passes(encoded, max_cells)

    def passes(self, encoded: Encoded, max_cells: int) -> Iterator[Pass]:
        """Yields passes of texts that are already encoded as tokens.

        Raises:
            ValueError: a sequence has no tokens, or has more tokens than the model can read.
        """
        sizes, longest = np.diff(encoded.offsets), self._grid.lengths[-1]
        if not 1 <= sizes.min() <= sizes.max() <= longest:
            raise ValueError(f"encode gave a sequence that has not 1 to {longest} tokens")
        order = np.argsort(-sizes, kind="stable")
        for rows, length in self._cut(sizes[order], max_cells):
            indices, order = order[:rows], order[rows:]
            yield self._pass(indices, encoded, (rows, length))

    def warm_up(self, max_cells: int) -> Iterator[Pass]:
        """Yields one pass of each padded shape that has at most ``max_cells`` tokens.

        For a device that needs no fixed shapes, yields only the smallest and the largest pass.

        Raises:
            ModelRefused: ``encode`` breaks the protocol.
        """
        lengths = self._grid.lengths
        shapes = [(rows, length) for rows in self._grid.messages for length in lengths]
        if not self._device.pads:
            shapes = [(1, lengths[0]), (max_cells // lengths[-1], lengths[-1])]
        # The second text is longer than the longest sequence, so `encode` has to cut it.
        texts = [*warm_up_texts(Bucket(1, 20)), *warm_up_texts(Bucket(1, 20 * lengths[-1])), "a"]
        check_encoded(encoded := self._encode(texts), len(texts), lengths[-1])
        width = encoded.features.shape[1]
        for rows, length in sorted(shapes, key=math.prod):
            if 0 < rows * length <= max_cells:
                yield self._blank(rows, length, width)

    def _cut(self, sizes: NDArray[np.int64], max_cells: int) -> Iterator[tuple[int, int]]:
        """Yields the shapes (rows, length) of the passes that compute all texts at the least cost.

        ``sizes`` are the texts' numbers of tokens, largest first. A pass costs its number of
        tokens, padding included, plus a fixed number of tokens, the device's ``pass_cells``.
        """
        texts, lengths = len(sizes), self._lengths(sizes)
        # Finds the cheapest passes for the last text, then for the last two texts, and so on.
        cost, choice = [0] * (texts + 1), [0] * texts
        for start in range(texts - 1, -1, -1):
            length = lengths[start]
            cost[start], choice[start] = min(
                (rows * length + cost[min(start + rows, texts)], rows)
                for rows in self._rows(length, max_cells, texts - start)
            )
            cost[start] += self._device.pass_cells
        start = 0
        while start < texts:
            yield choice[start], lengths[start]
            start += choice[start]

    def _lengths(self, sizes: NDArray[np.int64]) -> list[int]:
        """Returns, for each text, the padded length of a pass whose longest text it is.

        ``sizes`` has the length of each text. All lengths are numbers of tokens.
        """
        if not self._device.pads:  # a CPU: a pass is padded only to its longest text
            return sizes.tolist()
        return np.array(self._grid.lengths)[np.searchsorted(self._grid.lengths, sizes)].tolist()

    def _rows(self, length: int, max_cells: int, remaining: int) -> Sequence[int]:
        """Returns the numbers of rows that a pass may have if a row has ``length`` tokens.

        ``remaining`` is the number of texts without a pass. A pass has at most ``max_cells``
        tokens; only a pass of one row may have more.
        """
        largest = max(1, max_cells // length)
        if not self._device.pads:
            return range(1, min(largest, remaining) + 1)
        return [rows for rows in self._grid.messages if rows <= largest] or [1]

    def _pass(self, indices: NDArray[np.int64], encoded: Encoded, shape: tuple[int, int]) -> Pass:
        sizes = np.diff(encoded.offsets)[indices]
        return Pass(
            indices.tolist(),
            shape[0],
            lambda: self._uploaded(*pad(encoded, indices, shape)),
            shape[0] * shape[1],
            int(sizes.sum()),
        )

    def _blank(self, rows: int, length: int, width: int) -> Pass:
        """Returns a warm-up pass whose tokens and features are all 0.

        Its tokens have the shape (rows, length), its features the shape (rows, width).
        """
        tokens = np.zeros((rows, length), np.int64)
        lengths = np.full(rows, length, np.int64)
        features = np.zeros((rows, width), np.float32)
        cells = rows * length
        batch = lambda: self._uploaded(tokens, lengths, features)  # noqa: E731
        return Pass(range(rows), rows, batch, cells, cells)

    def _uploaded(self, *arrays: NDArray[Any]) -> Padded:
        return Padded(*(self._device.upload(torch.from_numpy(array)) for array in arrays))


def pad(
    encoded: Encoded, indices: NDArray[np.int64], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Returns the padded tokens, the lengths and the features of the texts at ``indices``.

    The results are the arrays of a :class:`~model.types.Padded`. All texts must fit into
    ``shape``, which is (rows, length).
    """
    lengths = np.ones(shape[0], np.int64)
    lengths[: len(indices)] = np.diff(encoded.offsets)[indices]
    tokens = np.zeros(shape, np.int64)
    features = np.zeros((shape[0], encoded.features.shape[1]), np.float32)
    for row, index in enumerate(indices):
        tokens[row, : lengths[row]] = encoded.tokens[slice(*encoded.offsets[index : index + 2])]
    features[: len(indices)] = encoded.features[indices]
    return tokens, lengths, features


def warm_up_texts(bucket: Bucket) -> list[str]:
    """Returns made-up texts that fill a batch of the shape ``bucket``.

    Every text differs, so that the model can't reuse a result.
    """
    words = "the quick brown fox jumps over the lazy dog and "
    text = (words * (bucket.characters // len(words) + 1))[: bucket.characters]
    return [f"{number:x}{text}"[: bucket.characters] for number in range(bucket.messages)]
