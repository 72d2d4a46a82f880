"""The fit of the transformer's head."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from model.transformer import head


@pytest.mark.parametrize("authors", [2, 3])
def test_head_separates_distant_clusters_and_folds_its_scaling(authors: int) -> None:
    chance = np.random.default_rng(0)
    labels = np.arange(30 * authors) % authors
    centres = chance.normal(0, 3, (authors, 5))
    vectors = (centres[labels] + chance.normal(0, 0.3, (len(labels), 5))).astype(np.float32)
    found = head.fit(vectors, labels, authors)
    assert found.weight.shape == (authors, 5)
    standard = (torch.from_numpy(vectors) - found.mean) / found.deviation
    logits = standard @ found.weight.T + found.bias
    assert (logits.argmax(1).numpy() == labels).all()
    weight, bias = found.folded()
    folded = torch.from_numpy(vectors) @ weight.T + bias
    torch.testing.assert_close(folded, logits, rtol=1e-3, atol=1e-3)
