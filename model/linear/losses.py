"""The losses of a text, as functions of its margins.

A text's margin for an author is the text's score for this author, times -1 if another author wrote
the text. The score's sign is right if the margin is positive.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch


class Derivatives(NamedTuple):
    """The first and the second derivative of a loss with respect to the margin.

    Both have the shape of the margins.
    """

    first: torch.Tensor
    second: torch.Tensor


class Loss(Protocol):
    """A convex function of a margin."""

    def __call__(self, margins: torch.Tensor) -> torch.Tensor:
        """Returns the loss of each margin."""

    def derivatives(self, margins: torch.Tensor) -> Derivatives:
        """Returns the derivatives of the loss at each margin."""


class SquaredHinge:
    """The loss of scikit-learn's LinearSVC: the square of max(0, 1 - margin)."""

    def __call__(self, margins: torch.Tensor) -> torch.Tensor:
        """Returns the loss of each margin."""
        return (1 - margins).clamp_(min=0).square_()

    def derivatives(self, margins: torch.Tensor) -> Derivatives:
        """Returns the derivatives of the loss at each margin.

        The second derivative is 2 below the margin 1, and 0 from the margin 1 on.
        """
        lacking = (1 - margins).clamp_(min=0)
        return Derivatives(-2 * lacking, 2 * (lacking > 0).float())
