"""The losses of a text, as functions of its margins.

A margin is a text's score for an author, times -1 if another author wrote the text. A positive
margin means that the score is right about whether this author wrote the text.
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
    """The loss of scikit-learn's LinearSVC: the square of max(0, 1 - margin)."""

    def __call__(self, margins: torch.Tensor) -> torch.Tensor:
        """Returns the loss of each margin."""
        return (1 - margins).clamp_(min=0).square_()

    def derivatives(self, margins: torch.Tensor) -> Derivatives:
        """Returns the derivatives. The second derivative jumps from 2 to 0 at the margin 1."""
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
