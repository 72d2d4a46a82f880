"""The solver reaches the optimum that scikit-learn and scipy reach."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_matrix
from sklearn.svm import LinearSVC

from model.linear import solver
from model.linear.balance import importance
from model.linear.design import Design
from model.linear.losses import SquaredHinge
from model.linear.solver import Problem

TEXTS, FEATURES, AUTHORS = 90, 40, 4


@pytest.fixture(scope="module")
def dense() -> NDArray[np.float32]:
    """Returns the features of some texts; the last feature occurs in no text."""
    generator = np.random.default_rng(0)
    values = generator.random((TEXTS, FEATURES), np.float32)
    values[generator.random(values.shape) < 0.7] = 0
    values[:, -1] = 0
    return values


@pytest.fixture(scope="module")
def labels(dense: NDArray[np.float32]) -> NDArray[np.int64]:
    directions = np.random.default_rng(1).normal(size=(FEATURES, AUTHORS))
    return np.asarray((dense @ directions).argmax(1))


def design_of(dense: NDArray[np.float32]) -> Design:
    sparse = csr_matrix(dense)
    return Design(sparse.indices, sparse.data, sparse.indptr)


def signs_of(labels: NDArray[np.int64]) -> torch.Tensor:
    return torch.where(torch.from_numpy(labels)[:, None] == torch.arange(AUTHORS), 1.0, -1.0)


def problem(design: Design, labels: NDArray[np.int64]) -> Problem:
    return Problem(design.gram, SquaredHinge(), signs_of(labels), importance(labels), 0.7)


def augmented(dense: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns the centred features and the feature 1, whose weight is the bias."""
    return np.c_[dense - dense.mean(0), np.ones(len(dense))].astype(np.float64)


def test_squared_hinge_gives_the_scores_of_linear_svc(
    dense: NDArray[np.float32], labels: NDArray[np.int64]
) -> None:
    design = design_of(dense)
    found = solver.minimise(problem(design, labels), tolerance=1e-5)
    machine = LinearSVC(C=1 / 0.7, fit_intercept=False, tol=1e-8, max_iter=100_000)
    # LinearSVC's objective is C * sum(losses) + |weights|^2 / 2.
    weights = importance(labels)[:, 0].numpy()
    machine.fit(augmented(dense), labels, sample_weight=weights)
    expected = machine.decision_function(augmented(dense))
    np.testing.assert_allclose(found.scores, expected, atol=2e-3)


def test_optimum_is_that_of_scipy(dense: NDArray[np.float32], labels: NDArray[np.int64]) -> None:
    loss = SquaredHinge()
    found = solver.minimise(problem(design_of(dense), labels), tolerance=1e-5)
    inputs = torch.from_numpy(augmented(dense))
    for author in range(AUTHORS):
        signs = signs_of(labels)[:, author].double()
        counts = importance(labels)[:, 0].double()

        def objective(
            weights: NDArray[np.float64],
            signs: torch.Tensor = signs,
            counts: torch.Tensor = counts,
        ) -> tuple[float, NDArray[np.float64]]:
            free = torch.from_numpy(weights).requires_grad_()
            total = (counts * loss(signs * (inputs @ free))).sum() + 0.35 * free.dot(free)
            total.backward()
            return total.item(), free.grad.numpy()

        best = minimize(objective, np.zeros(inputs.shape[1]), jac=True, tol=1e-12).x
        np.testing.assert_allclose(found.scores[:, author], inputs.numpy() @ best, atol=2e-3)


def test_start_at_the_optimum_takes_no_step(
    dense: NDArray[np.float32], labels: NDArray[np.int64]
) -> None:
    task = problem(design_of(dense), labels)
    found = solver.minimise(task, tolerance=1e-4)
    steps: list[float] = []
    again = solver.minimise(task, start=found.dual, tolerance=2e-4, on_step=steps.append)
    assert len(steps) == 1
    torch.testing.assert_close(again.dual, found.dual)


def test_derivatives_are_those_of_the_loss() -> None:
    loss = SquaredHinge()
    margins = torch.linspace(-3, 3, 25, dtype=torch.float64, requires_grad=True)
    [slope] = torch.autograd.grad(loss(margins).sum(), margins)
    found = loss.derivatives(margins.detach())
    torch.testing.assert_close(found.first, slope)
    step = 1e-6

    def first(moved: float) -> torch.Tensor:
        return loss.derivatives(margins.detach() + moved).first

    curved = (first(step) - first(-step)) / (2 * step)
    smooth = (margins.detach() - 1).abs() > 1e-3
    torch.testing.assert_close(found.second.double()[smooth], curved[smooth], atol=1e-5, rtol=1e-5)


def relative_steps(gram: Callable[[torch.Tensor], torch.Tensor], task: Problem) -> list[float]:
    steps: list[float] = []
    solver.minimise(task._replace(gram=gram), on_step=steps.append)
    return steps


def test_fit_ends_when_the_gradient_is_small(
    dense: NDArray[np.float32], labels: NDArray[np.int64]
) -> None:
    task = problem(design_of(dense), labels)
    steps = relative_steps(task.gram, task)
    assert steps[0] == pytest.approx(1)
    assert steps[-1] <= solver.TOLERANCE
    assert len(steps) < solver.MAX_STEPS


def test_author_whose_texts_have_no_features_gets_finite_weights(
    dense: NDArray[np.float32], labels: NDArray[np.int64]
) -> None:
    without = dense.copy()
    without[labels == 0] = 0
    found = solver.minimise(problem(design_of(without), labels), tolerance=1e-7)
    assert found.dual.isfinite().all()
    assert found.scores.isfinite().all()


def test_step_without_curvature_changes_no_direction() -> None:
    step = solver.Vector(torch.ones(3, 1), torch.ones(3, 1))
    flat = solver.Vector(torch.zeros(3, 1), torch.zeros(3, 1))
    corrections = deque([solver._correction(step, flat)])
    direction = solver._direction(step, corrections)
    torch.testing.assert_close(direction.dual, -step.dual)
