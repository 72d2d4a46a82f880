"""Linear machines: fits in blocks of authors, and the features and values of a design."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from model.linear import machine, solver
from model.linear.balance import importance
from model.linear.design import Design
from model.linear.losses import SquaredHinge

TEXTS, FEATURES, AUTHORS = 60, 30, 5


def sparse(texts: int, seed: int) -> csr_matrix:
    generator = np.random.default_rng(seed)
    values = generator.random((texts, FEATURES), np.float32)
    values[generator.random(values.shape) < 0.7] = 0
    return csr_matrix(values)


@pytest.fixture(scope="module")
def design() -> Design:
    matrix = sparse(TEXTS, 0)
    matrix = matrix[:, : FEATURES - 2]
    return Design(matrix.indices, matrix.data, matrix.indptr)


@pytest.fixture(scope="module")
def labels() -> NDArray[np.int64]:
    return np.random.default_rng(1).integers(0, AUTHORS, TEXTS)


def test_blocks_of_authors_give_the_same_machine(
    design: Design, labels: NDArray[np.int64], monkeypatch: pytest.MonkeyPatch
) -> None:
    shares: list[float] = []
    monkeypatch.setattr(solver, "TOLERANCE", 1e-5)
    together = machine.fit(design, labels, AUTHORS, SquaredHinge(), 1.0)
    monkeypatch.setattr(machine, "BLOCK_BYTES", 2 * 4 * (40 * TEXTS + 2 * FEATURES))
    assert len(list(machine.blocks_of(design, AUTHORS))) == 3
    apart = machine.fit(design, labels, AUTHORS, SquaredHinge(), 1.0, on_progress=shares.append)
    assert shares == [0.2, 0.6, 1.0]
    tables = [found.table(design) for found in (apart, together)]
    torch.testing.assert_close(*tables, atol=2e-3, rtol=0)
    torch.testing.assert_close(apart.bias, together.bias, atol=2e-3, rtol=0)


def test_scores_of_other_texts_are_those_of_the_table(
    design: Design, labels: NDArray[np.int64]
) -> None:
    found = machine.fit(design, labels, AUTHORS, SquaredHinge(), 0.1)
    table = np.zeros((FEATURES, AUTHORS), np.float32)
    table[design.features] = found.table(design)
    others = sparse(20, 2)
    assert others[:, FEATURES - 2 :].nnz > 0, "features that the design lacks"
    scores = found.scores(design, design.others(others.indices, others.data, others.indptr))
    np.testing.assert_allclose(scores, others @ table + found.bias.numpy(), atol=1e-5)


def test_slices_of_the_table_are_parts_of_it(design: Design, labels: NDArray[np.int64]) -> None:
    found = machine.fit(design, labels, AUTHORS, SquaredHinge(), 0.1)
    whole = found.table(design)
    torch.testing.assert_close(found.table(design, 5, 11), whole[5:11])


def test_weights_of_a_reweighted_design_are_factors_of_the_original_values(
    design: Design, labels: NDArray[np.int64]
) -> None:
    factors = np.linspace(0, 2, design.columns, dtype=np.float32)
    weighted = design.reweighted(factors)
    found = machine.fit(weighted, labels, AUTHORS, SquaredHinge(), 0.1)
    assert not found.table(weighted)[0].any()
    others = sparse(20, 3)
    texts = design.others(others.indices, others.data, others.indptr)
    table = np.zeros((FEATURES, AUTHORS), np.float32)
    table[design.features] = found.table(weighted)
    expected = others @ table + found.bias.numpy()
    np.testing.assert_allclose(found.scores(weighted, texts), expected, atol=1e-5)
    changed = others[:, design.features].multiply(factors).tocsr()
    direct = changed @ weighted.table(found.dual - found.dual.mean(0)).numpy() + found.bias.numpy()
    np.testing.assert_allclose(expected, direct, atol=1e-5)


def test_reweighted_design_has_the_squares_and_sums_of_its_new_values(design: Design) -> None:
    values = sparse(TEXTS, 0)[:, design.features].toarray()
    factors = np.linspace(0, 2, design.columns, dtype=np.float32)
    weighted = design.reweighted(factors)
    for found, expected in ((weighted, values * factors), (design, values)):
        np.testing.assert_allclose(found.mean_squares(), np.square(expected).mean(0), rtol=1e-5)
        np.testing.assert_allclose(found.sums(), expected.sum(1), rtol=1e-5)


def test_design_keeps_the_features_that_occur_commonest_first(design: Design) -> None:
    assert design.texts == TEXTS
    assert sorted(design.features) == list(range(FEATURES - 2))
    matrix = sparse(TEXTS, 0)
    counts = np.diff(matrix.tocsc().indptr)[design.features]
    assert (np.diff(counts) <= 0).all()


def test_importance_has_the_mean_1_and_favours_rare_authors() -> None:
    found = importance(np.array([0] * 32 + [1]))[:, 0]
    assert found.mean().item() == pytest.approx(1)
    assert (found[-1] / found[0]).item() == pytest.approx(8)
