"""Fits the classifiers of the n-gram model, and merges the classifiers into one weight table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from model.linear import balance, machine, naive_bayes
from model.linear.design import Design
from model.linear.losses import SquaredHinge
from model.linear.machine import Machine
from model.linear.naive_bayes import NaiveBayes
from model.ngram.counting import KINDS, inverse_document_frequency, least_texts, select
from model.ngram.features import CHARACTERS, Bags
from model.ngram.parameters import pack
from model.ngram.vocabulary import ROWS, Vocabulary
from model.training.evaluation import Classes, Floats

#: An n-gram's value has its inverse document frequency, to this power, as a factor.
IDF_POWER = 2.0
#: The same power in the classifier of the runs of tokens.
TOKENS_IDF_POWER = 1.0
#: The classifiers that are mixed. The names say which features a classifier sees, or its method.
ALL, TOKENS, BAYES = "all n-grams", "runs of tokens", "naive Bayes"
#: Number of columns that are packed at once.
_PACKED = 16_384

Classifier = Machine | NaiveBayes


class Texts(NamedTuple):
    """The known n-grams of some texts with their counts, and the texts' authors and folds."""

    bags: Bags
    #: Author of each text, as a number.
    labels: Classes
    #: Fold of each text.
    folds: NDArray[np.int64]
    #: Whether each text is new: a text is new if no text of another fold nearly equals it. Choices
    #: rest on new texts, because a model recognises the other texts.
    is_new: NDArray[np.bool_]
    vocabulary: Vocabulary
    #: Kind of each row's n-gram. See :class:`model.ngram.counting.Known`.
    kinds: NDArray[np.int64]
    authors: int

    def part(self, folds: Sequence[int]) -> Texts:
        """Returns the texts that are in one of ``folds``."""
        chosen = np.isin(self.folds, folds)
        return self._replace(
            bags=select(self.bags, chosen),
            labels=self.labels[chosen],
            folds=self.folds[chosen],
            is_new=self.is_new[chosen],
        )

    def shares(self) -> Floats:
        """Returns each author's share of the texts, shape (authors,). No share is 0."""
        return balance.shares(self.labels, self.authors)


class Fitter:
    """Fits classifiers to the texts of some folds."""

    def __init__(self, texts: Texts, folds: Sequence[int]) -> None:
        self.folds = folds
        self.texts = texts.part(folds)
        bags, kinds = self.texts.bags, texts.kinds
        # A fit to some folds has the rule of all training messages.
        idf = inverse_document_frequency(bags, least_texts(len(texts.labels)))
        powers = idf ** np.float32(IDF_POWER)
        squares: Floats = np.zeros(ROWS)
        np.add.at(squares, bags.rows, bags.counts * powers[bags.rows] ** 2)
        #: Weight of each row's n-gram in the values, shape (ROWS,): the inverse document frequency
        #: to the power IDF_POWER, times a factor for each kind. All kinds count alike.
        self.row_weights = powers * _unit_factors(squares, kinds)
        every = Design(bags.rows, bags.values(self.row_weights), bags.offsets)
        #: The values of the features, for each classifier.
        self.designs = {ALL: every, TOKENS: _of_tokens(every, idf, kinds), BAYES: every}

    def fit(
        self,
        kind: str,
        penalty: float,
        start: torch.Tensor | None = None,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> Classifier:
        """Fits a classifier of the kind ``kind``, which is ``ALL``, ``TOKENS`` or ``BAYES``.

        The penalty of ``BAYES`` is its smoothing, and ``start`` has no effect on it. Otherwise, the
        parameters are those of :func:`model.linear.machine.fit`.
        """
        texts, design = self.texts, self.designs[kind]
        if kind == BAYES:
            return naive_bayes.fit(design, texts.labels, texts.authors, penalty)
        return machine.fit(
            design, texts.labels, texts.authors, SquaredHinge(), penalty, start, on_progress
        )

    def scores(self, kind: str, fitted: Classifier, bags: Bags) -> Floats:
        """Returns the scores that a fitted classifier gives other texts, shape (texts, authors)."""
        design = self.designs[kind]
        texts = design.others(bags.rows, bags.values(self.row_weights), bags.offsets)
        return fitted.scores(design, texts).double().numpy()

    def merged(
        self, classifiers: Mapping[str, Classifier], factors: Sequence[float], offset: Floats
    ) -> Merged:
        """Returns one classifier that gives the mixed scores of ``classifiers``.

        The keys are the classifiers' kinds. The mixed scores are the sum of each classifier's
        scores times its factor, plus ``offset``. ``offset`` has a number for each author.
        """
        bias = torch.from_numpy(offset).float()
        for fitted, factor in zip(classifiers.values(), factors, strict=True):
            bias += factor * fitted.bias
        return Merged(self._packed(classifiers, factors), bias)

    def _packed(
        self, classifiers: Mapping[str, Classifier], factors: Sequence[float]
    ) -> torch.Tensor:
        """Returns the sum of the classifiers' tables, each times its factor, in 8 bits a weight.

        The table is made in slices, so that the whole table is never in memory as float32.
        """
        table = pack(torch.zeros(1, self.texts.authors)).repeat(ROWS, 1)
        every = self.designs[ALL]  # all designs have the same columns
        for first in range(0, every.columns, _PACKED):
            last = min(first + _PACKED, every.columns)
            weights = torch.zeros(last - first, self.texts.authors)
            for (kind, fitted), factor in zip(classifiers.items(), factors, strict=True):
                weights += factor * fitted.table(self.designs[kind], first, last)
            table[torch.from_numpy(every.features[first:last])] = pack(weights)
        return table


class Merged(NamedTuple):
    """A classifier that gives the mixed scores of several classifiers."""

    #: The weight table, packed into 8 bits a weight. See :func:`model.ngram.parameters.pack`.
    table: torch.Tensor
    #: Bias of each author, shape (authors,).
    bias: torch.Tensor


def _of_tokens(design: Design, idf: NDArray[np.float32], kinds: NDArray[np.int64]) -> Design:
    """Returns the design of the classifier ``TOKENS``, made from the design of ``ALL``.

    Rare n-grams count less than in ``ALL``, each length of runs of tokens counts alike, and the
    mean of the texts' squared norms is 1, so that penalties have the scale of those for ``ALL``.
    """
    idf, kinds = idf[design.features], kinds[design.features]
    is_used = (kinds >= len(CHARACTERS)) & (idf > 0)
    factors = np.zeros(len(idf), np.float32)
    factors[is_used] = idf[is_used] ** np.float32(TOKENS_IDF_POWER - IDF_POWER)
    factors *= _unit_factors(factors**2 * design.mean_squares(), kinds)
    lengths = len(np.unique(kinds[is_used]))
    return design.reweighted(factors / np.float32(np.sqrt(max(1, lengths))))


def _unit_factors(squares: Floats, kinds: NDArray[np.int64]) -> NDArray[np.float32]:
    """Returns a factor for each feature, so that the squares of each kind add up to 1.

    ``squares`` has the squares of each feature, and ``kinds`` has the feature's kind. A kind whose
    squares are 0 gets the factor 1.
    """
    sums = np.bincount(kinds, squares, KINDS)
    sums[sums == 0] = 1
    return (1 / np.sqrt(sums)).astype(np.float32)[kinds]
