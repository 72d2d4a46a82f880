"""The losses of a text, as functions of its margins.

A margin is the score of an author, with the sign -1 if the text is another author's. So a positive
margin is a right answer to the question whether the text is this author's.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch


class Derivatives(NamedTuple):
    """The first and second derivative of a loss by the margin, with the shape of the margins."""

    first: torch.Tensor
    second: torch.Tensor


class Loss(Protocol):
    """A convex function of a margin."""

    def __call__(self, margins: torch.Tensor) -> torch.Tensor:
        """Returns the loss of each margin."""

    def derivatives(self, margins: torch.Tensor) -> Derivatives:
        """Returns the derivatives of the loss at each margin."""


class SquaredHinge:
    """The loss of scikit-learn's LinearSVC: the square of how far a margin is below 1."""

    def __call__(self, margins: torch.Tensor) -> torch.Tensor:
        """Returns the loss of each margin."""
        return (1 - margins).clamp_(min=0).square_()

    def derivatives(self, margins: torch.Tensor) -> Derivatives:
        """Returns the derivatives. The second jumps from 2 to 0 at the margin 1."""
        lacking = (1 - margins).clamp_(min=0)
        return Derivatives(-2 * lacking, 2 * (lacking > 0).float())


class Logistic:
    """The loss of logistic regression: the log of 1 + exp(-margin)."""

    def __call__(self, margins: torch.Tensor) -> torch.Tensor:
        """Returns the loss of each margin."""
        return torch.nn.functional.softplus(-margins)

    def derivatives(self, margins: torch.Tensor) -> Derivatives:
        """Returns the derivatives."""
        wrong = torch.sigmoid(-margins)
        return Derivatives(-wrong, wrong * (1 - wrong))
