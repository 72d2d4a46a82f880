"""From a batch of texts to forward passes: sorted by length, padded to few shapes, within a limit.

A *cell* is what the device computes and what fills its memory: one token of a padded batch, or one
message of a model that takes texts as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from model.serving.device import Device
from model.types import Bucket, Encoded, Grid, Model, Padded


class Pass(NamedTuple):
    """One forward pass."""

    #: Which of the batch's texts it holds, in the order of its rows.
    places: Sequence[int]
    #: Rows that ``forward`` is to answer with; those after the last place are padding.
    rows: int
    #: Gives what ``forward`` takes, on the device.
    batch: Callable[[], Any]
    #: Cells that the device computes, padding included.
    cells: int
    #: Those that are no padding.
    filled: int


Encode = Callable[[Sequence[str]], Encoded]


class Planner(Protocol):
    """Plans the passes of one kind of model."""

    def plan(self, texts: Sequence[str], most: int) -> Iterator[Pass]:
        """Yield passes of at most so many cells, or of one text, that together hold each text."""

    def warm_up(self, most: int) -> Iterator[Pass]:
        """Yield a pass of every shape that will come, smallest first."""


class Messages:
    """For a model that takes texts: passes in the order of the texts. A cell is a message."""

    def __init__(self, model: Model[Any]) -> None:
        self._model = model
        self._largest = model.buckets[-1].messages

    def plan(self, texts: Sequence[str], most: int) -> Iterator[Pass]:
        """See :class:`Planner`."""
        size = min(most, self._largest)
        for start in range(0, len(texts), size):
            yield self._pass(range(start, min(start + size, len(texts))), texts)

    def warm_up(self, most: int) -> Iterator[Pass]:
        """See :class:`Planner`."""
        for bucket in self._model.buckets:
            yield self._pass(range(bucket.messages), texts_for(bucket))

    def _pass(self, places: range, texts: Sequence[str]) -> Pass:
        chosen = texts[places.start : places.stop]
        size = len(places)
        return Pass(places, size, lambda: self._model.prepare(chosen), size, size)


class Sequences:
    """For a model that takes tokens: passes of texts of like length, longest first."""

    def __init__(self, encode: Encode, grid: Grid, device: Device) -> None:
        self._encode = encode
        self._grid = grid
        self._device = device

    def plan(self, texts: Sequence[str], most: int) -> Iterator[Pass]:
        """See :class:`Planner`."""
        encoded = self._encode(texts)
        if len(encoded.offsets) != len(texts) + 1:
            raise ValueError("encode gave no sequence for each text")
        yield from self.passes(encoded, most)

    def passes(self, encoded: Encoded, most: int) -> Iterator[Pass]:
        """Yield the passes of texts that are encoded already."""
        sizes, longest = np.diff(encoded.offsets), self._grid.lengths[-1]
        if not 1 <= sizes.min() <= sizes.max() <= longest:
            raise ValueError(f"encode gave a sequence that has not 1 to {longest} tokens")
        order = np.argsort(-sizes, kind="stable")
        for rows, length in self._cut(sizes[order], most):
            places, order = order[:rows], order[rows:]
            yield self._pass(places, encoded, (rows, length))

    def warm_up(self, most: int) -> Iterator[Pass]:
        """See :class:`Planner`. Where shapes don't matter, the smallest and the largest do."""
        lengths = self._grid.lengths
        shapes = [(rows, length) for rows in self._grid.messages for length in lengths]
        if not self._device.pads:
            shapes = [(1, lengths[0]), (most // lengths[-1], lengths[-1])]
        width = self._encode(["a"]).features.shape[1]
        for rows, length in sorted(shapes, key=math.prod):
            if 0 < rows * length <= most:
                yield self._blank(rows, length, width)

    def _cut(self, sizes: NDArray[np.int64], most: int) -> Iterator[tuple[int, int]]:
        """Yield (rows, length) of the passes that together cost least; ``sizes`` descend.

        A pass costs its cells, and what the device says of a pass. The best is found for the last
        text first, then for the last two, and so on.
        """
        texts, lengths = len(sizes), self._lengths(sizes)
        cost, choice = [0] * (texts + 1), [0] * texts
        for start in range(texts - 1, -1, -1):
            length = lengths[start]
            cost[start], choice[start] = min(
                (rows * length + cost[min(start + rows, texts)], rows)
                for rows in self._rows(length, most, texts - start)
            )
            cost[start] += self._device.pass_cells
        start = 0
        while start < texts:
            yield choice[start], lengths[start]
            start += choice[start]

    def _lengths(self, sizes: NDArray[np.int64]) -> list[int]:
        """Return what each text is padded to if it is the longest of its pass."""
        if not self._device.pads:
            return sizes.tolist()
        return np.array(self._grid.lengths)[np.searchsorted(self._grid.lengths, sizes)].tolist()

    def _rows(self, length: int, most: int, left: int) -> Sequence[int]:
        """Return the rows that a pass of this length may have: one at least, fit it or not."""
        largest = max(1, most // length)
        if not self._device.pads:
            return range(1, min(largest, left) + 1)
        return [rows for rows in self._grid.messages if rows <= largest] or [1]

    def _pass(self, places: NDArray[np.int64], encoded: Encoded, shape: tuple[int, int]) -> Pass:
        sizes = np.diff(encoded.offsets)[places]
        return Pass(
            places.tolist(),
            shape[0],
            lambda: self._uploaded(*padded(encoded, places, shape)),
            shape[0] * shape[1],
            int(sizes.sum()),
        )

    def _blank(self, rows: int, length: int, width: int) -> Pass:
        tokens = np.zeros((rows, length), np.int64)
        lengths = np.full(rows, length, np.int64)
        features = np.zeros((rows, width), np.float32)
        cells = rows * length
        batch = lambda: self._uploaded(tokens, lengths, features)  # noqa: E731
        return Pass(range(rows), rows, batch, cells, cells)

    def _uploaded(self, *arrays: NDArray[Any]) -> Padded:
        return Padded(*(self._device.upload(torch.from_numpy(array)) for array in arrays))


def padded(
    encoded: Encoded, places: NDArray[np.int64], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Return tokens, lengths and features of some texts, as :class:`~model.types.Padded` has them.

    ``shape`` is (rows, length); it holds them all.
    """
    lengths = np.ones(shape[0], np.int64)
    lengths[: len(places)] = np.diff(encoded.offsets)[places]
    tokens = np.zeros(shape, np.int64)
    features = np.zeros((shape[0], encoded.features.shape[1]), np.float32)
    for row, place in enumerate(places):
        tokens[row, : lengths[row]] = encoded.tokens[slice(*encoded.offsets[place : place + 2])]
    features[: len(places)] = encoded.features[places]
    return tokens, lengths, features


def texts_for(bucket: Bucket) -> list[str]:
    """Return texts of a bucket's shape, each different, so that nothing is shared between them."""
    words = "the quick brown fox jumps over the lazy dog and "
    text = (words * (bucket.characters // len(words) + 1))[: bucket.characters]
    return [f"{number:x}{text}"[: bucket.characters] for number in range(bucket.messages)]
