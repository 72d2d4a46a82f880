"""Workers that refuse their model while they warm up."""

from __future__ import annotations

import pytest

from tests.parts import Stack


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("Logits", "`forward` returned rows that are no probabilities"),
        ("Doubled", "`card.authors` names 'vowels' more than once"),
    ],
)
def test_worker_with_a_wrong_model_says_why_and_ends_with_status_2(
    own: Stack, model: str, words: str
) -> None:
    worker = own.start_worker(BYLINE_MODEL=f"tests.bad_models:{model}")
    assert worker.process.wait(60) == 2
    said = f"BYLINE_MODEL=tests.bad_models:{model} can't be served: {words}"
    assert [line for line in worker.output.splitlines() if said in line]
    assert "Traceback" not in worker.output
    assert "ready" not in worker.output
