"""A sparse matrix of the features of some texts, and the matrix's products with dense matrices."""

from __future__ import annotations

from copy import copy
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix


class Design:
    """A sparse matrix with a row for each text, and a column for each feature of any text.

    The columns are sorted by the number of texts that have the feature, largest number first.
    """

    #: Number of texts.
    texts: int
    #: The feature of each column, such as a row of the n-gram model's table: int64, (columns,).
    features: NDArray[np.int64]
    #: The factor by which each column's values were multiplied: float32, shape (columns,).
    factors: torch.Tensor

    def __init__(
        self, features: NDArray[np.int32], values: NDArray[np.float32], offsets: NDArray[np.int32]
    ) -> None:
        """Makes the matrix. Text i has the features ``features[offsets[i]:offsets[i + 1]]``.

        ``values[k]`` is the value of the feature ``features[k]`` in its text.
        """
        counts = np.bincount(features)
        # In this order, the columns that are read most lie side by side in memory, which makes the
        # products faster.
        order = np.argsort(-counts, kind="stable")
        self.texts = len(offsets) - 1
        self.features = order[: np.count_nonzero(counts)]
        self._column = np.full(len(order), -1, np.int32)
        self._column[self.features] = np.arange(len(self.features), dtype=np.int32)
        shape = (self.texts, len(self.features))
        matrix = csr_matrix((values, self._column[features], offsets), shape=shape)
        self.factors = torch.ones(len(self.features))
        self._matrix = matrix
        self._by_text = _sparse(matrix)
        self._by_column = _sparse(matrix.T.tocsr())

    def reweighted(self, factors: NDArray[np.float32]) -> Design:
        """Returns a design of the same texts and features, with other values.

        The values of each column are multiplied by the column's factor. ``factors`` has the shape
        (columns,). Entries that become 0 take no memory and no time.
        """
        result = copy(self)
        result.factors = self.factors * torch.from_numpy(factors)
        matrix = self._matrix.copy()
        matrix.data *= factors[matrix.indices]
        matrix.eliminate_zeros()
        result._matrix = matrix
        result._by_text, result._by_column = _sparse(matrix), _sparse(matrix.T.tocsr())
        return result

    def mean_squares(self) -> NDArray[np.float64]:
        """Returns each column's mean over the texts of the squared values, shape (columns,)."""
        squares = np.square(self._matrix.data, dtype=np.float64)
        return np.bincount(self._matrix.indices, squares, self.columns) / self.texts

    def sums(self) -> NDArray[np.float64]:
        """Returns the sum of the values of each text, shape (texts,)."""
        return np.asarray(self._matrix.sum(1, np.float64)).ravel()

    @property
    def columns(self) -> int:
        """Number of columns, which is the number of distinct features in all texts."""
        return len(self.features)

    def table(
        self, coefficients: torch.Tensor, first: int = 0, last: int | None = None
    ) -> torch.Tensor:
        """Returns the weights of columns ``first`` to ``last - 1``, or of all if ``last`` is None.

        The weights are the transposed matrix times ``coefficients``, which is float32, shape
        (texts, authors). The result is float32, shape (columns, authors).
        """
        part = self._by_column if last is None else self._by_column.slice(first, last)
        return part.times(coefficients)

    def scores(self, table: torch.Tensor) -> torch.Tensor:
        """Returns the product of this matrix and ``table``: float32, shape (texts, authors).

        ``table`` has the shape (columns, authors).
        """
        return self._by_text.times(table)

    def gram(self, coefficients: torch.Tensor) -> torch.Tensor:
        """Returns the product of the texts' Gram matrix and ``coefficients``.

        ``coefficients`` and the product have the shape (texts, authors). The Gram matrix is that of
        the centred features and one more feature with the value 1, whose weight is the bias.
        """
        # All texts share their commonest features, so a solver needs fewer steps if the features
        # are centred. The centring hardly changes the fitted classifier.
        scores = self.scores(self.table(coefficients - coefficients.mean(0)))
        return scores.sub_(scores.mean(0)).add_(coefficients.sum(0))

    def others(
        self, features: NDArray[np.int32], values: NDArray[np.float32], offsets: NDArray[np.int32]
    ) -> Sparse:
        """Returns other texts as a matrix with the columns of this design.

        If a feature occurs in no text of this design, the feature's value becomes 0.
        """
        known = np.where(features < len(self._column), features, 0)
        columns = self._column[known]
        values = np.where((columns >= 0) & (known == features), values, np.float32(0))
        return Sparse(*map(torch.from_numpy, (np.maximum(columns, 0), values, offsets)))


class Sparse(NamedTuple):
    """A sparse matrix, stored row by row as ``torch.embedding_bag`` expects it."""

    #: Column of each entry, int32.
    columns: torch.Tensor
    #: Value of each entry, float32.
    values: torch.Tensor
    #: Start of each row, and the end of the last row, int32.
    offsets: torch.Tensor

    def slice(self, first: int, last: int) -> Sparse:
        """Returns the rows ``first`` to ``last - 1``."""
        offsets = self.offsets[first : last + 1]
        entries = slice(int(offsets[0]), int(offsets[-1]))
        return Sparse(self.columns[entries], self.values[entries], offsets - offsets[0])

    def times(self, dense: torch.Tensor) -> torch.Tensor:
        """Returns the product with the float32 matrix ``dense``.

        Each row of the product is a weighted sum of the rows of ``dense``.
        """
        sums: torch.Tensor = torch.embedding_bag(
            dense.contiguous(),
            self.columns,
            self.offsets,
            mode=0,
            per_sample_weights=self.values,
            include_last_offset=True,
        )[0]
        return sums


def _sparse(matrix: csr_matrix) -> Sparse:
    arrays = matrix.indices, matrix.data, matrix.indptr
    return Sparse(*map(torch.from_numpy, arrays))
