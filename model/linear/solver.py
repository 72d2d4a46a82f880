"""Minimises a penalised loss over linear classifiers, for all authors at once.

The method is L-BFGS (Nocedal 1980) with an exact line search, independent for each author. By the
representer theorem, the best weights are a weighted sum of the texts' features. The solver stores
the factors in this sum, the dual coefficients, instead of the weights. Each step needs one product
with the texts' Gram matrix.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch

from model.linear.losses import Loss

#: Number of earlier steps that L-BFGS learns the curvature from.
MEMORY = 5
#: Largest number of steps of a fit.
MAX_STEPS = 60
#: An author's fit ends when the relative gradient is at most this number. The relative gradient is
#: the gradient's norm, divided by its norm at the best classifier without features.
TOLERANCE = 1e-2
#: Number of Newton steps of a line search. The loss is smooth and convex along a line.
LINE_STEPS = 6
#: Prevents divisions by zero.
_TINY = 1e-30
#: Smallest cosine between a step and the gradient's change. A smaller cosine is due to rounding.
_LEAST_COSINE = 1e-6

#: Returns the product of the texts' Gram matrix and coefficients, shape (texts, authors).
Gram = Callable[[torch.Tensor], torch.Tensor]


class Problem(NamedTuple):
    """The function to minimise for each author: ``penalty / 2 * |weights|^2 + sum of losses``."""

    gram: Gram
    loss: Loss
    #: 1 if the text is the author's and otherwise -1: float32, shape (texts, authors).
    signs: torch.Tensor
    #: Weight of each text's loss in the sum: float32, shape (texts, 1).
    importance: torch.Tensor
    penalty: float


class Vector(NamedTuple):
    """A vector of weights for each author, stored as dual coefficients and as scores.

    The scores are those that the weights give the texts. Both tensors are float32, shape (texts,
    authors).
    """

    dual: torch.Tensor
    scores: torch.Tensor

    def dot(self, other: Vector) -> torch.Tensor:
        """Returns, for each author, the inner product of both vectors of weights: (authors,)."""
        return (self.dual * other.scores).sum(0)

    def plus(self, factor: torch.Tensor | float, other: Vector) -> Vector:
        """Returns the sum of this vector and ``factor`` times ``other``."""
        return Vector(self.dual + factor * other.dual, self.scores + factor * other.scores)

    def of(self, authors: torch.Tensor) -> Vector:
        """Returns the vectors of the authors whose indices are in ``authors``."""
        return Vector(self.dual[:, authors], self.scores[:, authors])

    def times(self, factor: torch.Tensor | float) -> Vector:
        """Returns the vector times ``factor``, which may have the shape (authors,)."""
        return Vector(factor * self.dual, factor * self.scores)


class _Correction(NamedTuple):
    """A step of L-BFGS, and the change of the gradient by this step."""

    step: Vector
    change: Vector
    #: 1 / (inner product of step and change), shape (authors,).
    scale: torch.Tensor

    def of(self, authors: torch.Tensor) -> _Correction:
        return _Correction(self.step.of(authors), self.change.of(authors), self.scale[authors])


@dataclass
class _Search:
    """The state of the search for the minimum, for the authors whose fit has not ended."""

    problem: Problem
    point: Vector
    gradient: Vector
    #: Squared norm of the gradient at the best classifier without features, shape (authors,).
    scale: torch.Tensor
    corrections: deque[_Correction]

    def relative(self) -> torch.Tensor:
        """Returns the relative gradient of each author, as ``TOLERANCE`` defines it: (authors,)."""
        squared = self.gradient.dot(self.gradient).clamp(min=0)
        return (squared / self.scale.clamp(min=_TINY)).sqrt()

    def step(self) -> None:
        """Moves the point by one step of L-BFGS."""
        direction = _direction(self.gradient, self.corrections)
        step = direction.times(_length(self.problem, self.point, direction))
        self.point = self.point.plus(1.0, step)
        previous, self.gradient = self.gradient, _gradient(self.problem, self.point)
        self.corrections.append(_correction(step, self.gradient.plus(-1.0, previous)))

    def keep(self, authors: torch.Tensor) -> None:
        """Keeps only the authors whose indices are in ``authors``."""
        self.problem = self.problem._replace(signs=self.problem.signs[:, authors])
        self.point, self.gradient = self.point.of(authors), self.gradient.of(authors)
        self.scale = self.scale[authors]
        self.corrections = deque((each.of(authors) for each in self.corrections), maxlen=MEMORY)


def minimise(
    problem: Problem,
    start: torch.Tensor | None = None,
    tolerance: float | None = None,
    on_step: Callable[[float], None] = lambda _: None,
) -> Vector:
    """Returns, for each author, the vector of weights that minimises the problem.

    The search begins at the dual coefficients ``start``, by default at the best classifier without
    features. An author's search ends when the relative gradient is at most ``tolerance`` (default
    ``TOLERANCE``), or after ``MAX_STEPS`` steps. Before each step, ``on_step`` gets the largest
    relative gradient of the authors whose search has not ended.
    """
    tolerance = TOLERANCE if tolerance is None else tolerance
    search = _begin(problem, start)
    dual, scores = torch.zeros_like(problem.signs), torch.zeros_like(problem.signs)
    authors = torch.arange(problem.signs.shape[1])
    for _ in range(MAX_STEPS):
        relative = search.relative()
        on_step(float(relative.max()))
        unfinished = relative > tolerance
        dual[:, authors], scores[:, authors] = search.point
        if not unfinished.all():
            authors = authors[unfinished]
            search.keep(unfinished.nonzero()[:, 0])
        if not len(authors):
            break
        search.step()
    dual[:, authors], scores[:, authors] = search.point
    return Vector(dual, scores)


def _begin(problem: Problem, start: torch.Tensor | None) -> _Search:
    """Returns a search that begins at ``start``.

    If ``start`` is None, the search begins at the best classifier that has only a bias.
    """
    constant = _constant(problem)
    first = _gradient(problem, constant)
    corrections: deque[_Correction] = deque(maxlen=MEMORY)
    if start is None:
        return _Search(problem, constant, first, first.dot(first), corrections)
    point = Vector(start, problem.gram(start))
    return _Search(problem, point, _gradient(problem, point), first.dot(first), corrections)


def _constant(problem: Problem) -> Vector:
    """Returns the best classifier that has only a bias, so that all texts get the same score.

    The gradient at this classifier shows how much a fit can learn from the features.
    """
    zero, ones = torch.zeros_like(problem.signs), torch.ones_like(problem.signs)
    down = Vector(-ones / len(ones), -ones)  # Most texts are another author's.
    return Vector(zero, zero).plus(_length(problem, Vector(zero, zero), down), down)


def _gradient(problem: Problem, point: Vector) -> Vector:
    """Returns the gradient at ``point``. This needs one product with the Gram matrix."""
    slopes = problem.loss.derivatives(problem.signs * point.scores).first
    slopes = slopes * problem.signs * problem.importance
    return Vector(slopes, problem.gram(slopes)).plus(problem.penalty, point)


def _correction(step: Vector, change: Vector) -> _Correction:
    """Returns the correction of a step that changed the gradient by ``change``.

    If rounding hides the curvature along an author's step, the author's ``scale`` is 0, and the
    correction has no effect for this author.
    """
    product = step.dot(change)
    size = (step.dot(step) * change.dot(change)).clamp(min=0).sqrt()
    # Rounding hides the curvature, for example, if an author's texts have hardly any features.
    scale = torch.where(product > _LEAST_COSINE * size, 1 / product.clamp(min=_TINY), 0.0)
    return _Correction(step, change, scale)


def _direction(gradient: Vector, corrections: deque[_Correction]) -> Vector:
    """Returns the direction of the next step: L-BFGS's two loops over the corrections."""
    direction, factors = gradient.times(-1.0), []
    for each in reversed(corrections):
        factors.append(each.scale * each.step.dot(direction))
        direction = direction.plus(-factors[-1], each.change)
    if corrections:
        last = corrections[-1]
        inverse = last.scale * last.change.dot(last.change)
        direction = direction.times(torch.where(inverse > _TINY, 1 / inverse, 1.0))
    for each, factor in zip(corrections, reversed(factors), strict=True):
        direction = direction.plus(factor - each.scale * each.change.dot(direction), each.step)
    return direction


def _length(problem: Problem, point: Vector, direction: Vector) -> torch.Tensor:
    """Returns the best length of the step along ``direction`` for each author, shape (authors,).

    The function uses Newton's method within bounds. It needs no product with the Gram matrix.
    """
    slope, curvature = point.dot(direction), direction.dot(direction)
    moved = problem.signs * direction.scores
    low, length = torch.zeros_like(slope), torch.zeros_like(slope)
    high = torch.full_like(slope, torch.inf)
    for _ in range(LINE_STEPS):
        loss = problem.loss.derivatives(problem.signs * point.scores + length * moved)
        first = (problem.importance * loss.first * moved).sum(0)
        second = (problem.importance * loss.second * moved.square()).sum(0)
        total = problem.penalty * (slope + length * curvature) + first
        low, high = torch.where(total < 0, length, low), torch.where(total < 0, high, length)
        newton = length - total / (problem.penalty * curvature + second).clamp(min=_TINY)
        # Newton's steps overshoot where the loss flattens. The minimum is between low and high.
        length = torch.where(newton < high, newton, (low + high) / 2).clamp(low, 1 + 4 * low)
    return length
