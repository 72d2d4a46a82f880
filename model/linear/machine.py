"""A linear classifier that is stored as dual coefficients, and the function that fits it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model.linear import solver
from model.linear.balance import importance
from model.linear.design import Design, Sparse
from model.linear.losses import Loss
from model.linear.solver import Problem

#: Largest number of bytes for the fit of a block of authors. Larger blocks are hardly faster.
BLOCK_BYTES = 400 << 20
#: Number of arrays of the shape (texts, authors) that the solver holds at once, at most.
SOLVER_ARRAYS = 4 * solver.MEMORY + 20


class Machine(NamedTuple):
    """A linear classifier: each author's weights are a weighted sum of the texts' features."""

    #: The factors of the texts' centred features in that sum: float32, shape (texts, authors).
    dual: torch.Tensor
    #: Bias of each author, for features that are not centred: float32, shape (authors,).
    bias: torch.Tensor

    def table(self, design: Design, first: int = 0, last: int | None = None) -> torch.Tensor:
        """Returns the weights of the columns ``first`` to ``last - 1``, by default of all columns.

        ``design`` is the design that this machine is fitted to. The weights are factors of the
        features' values before :meth:`Design.reweighted`.
        """
        return _table(self.dual, design, first, last)

    def scores(self, design: Design, texts: Sparse) -> torch.Tensor:
        """Returns the scores of ``texts``: float32, shape (texts, authors).

        ``design`` is the design that this machine is fitted to. ``texts`` comes from
        :meth:`Design.others`.
        """
        blocks = [
            texts.times(_table(self.dual[:, block], design))
            for block in blocks_of(design, len(self.bias))
        ]
        return torch.cat(blocks, 1) + self.bias


def _table(
    dual: torch.Tensor, design: Design, first: int = 0, last: int | None = None
) -> torch.Tensor:
    return design.table(dual - dual.mean(0), first, last).mul_(design.factors[first:last, None])


def blocks_of(design: Design, authors: int) -> Iterator[slice]:
    """Divides the authors into blocks, and yields each block as a slice of author numbers.

    The fit of a block takes at most ``BLOCK_BYTES`` of memory. Only a block of a single author may
    take more.
    """
    per_author = 4 * (SOLVER_ARRAYS * design.texts + 2 * design.columns)
    width = max(1, BLOCK_BYTES // per_author)
    # The sizes of the blocks differ by 1 at most.
    number = -(-authors // width)
    bounds = [authors * block // number for block in range(number + 1)]
    yield from map(slice, bounds[:-1], bounds[1:])


def fit(
    design: Design,
    labels: NDArray[np.int64],
    authors: int,
    loss: Loss,
    penalty: float,
    start: torch.Tensor | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Machine:
    """Fits a classifier for each author against all other authors.

    ``labels`` has each text's author as a number. ``start`` has dual coefficients to begin at, for
    example those of a similar classifier. ``on_progress`` gets the share of fitted authors, 0 to 1.
    """
    dual, bias = torch.zeros(len(labels), authors), torch.zeros(authors)
    # In the loss, a text weighs more if its author has few texts.
    counts, targets = importance(labels), torch.from_numpy(labels)
    for block in blocks_of(design, authors):
        numbers = torch.arange(block.start, block.stop)
        signs = torch.where(targets[:, None] == numbers, 1.0, -1.0)
        problem = Problem(design.gram, loss, signs, counts, penalty)
        found = solver.minimise(problem, None if start is None else start[:, block])
        dual[:, block] = found.dual
        uncentred = design.scores(design.table(found.dual - found.dual.mean(0)))
        bias[block] = (found.scores - uncentred).mean(0)
        on_progress(block.stop / authors)
    return Machine(dual, bias)
