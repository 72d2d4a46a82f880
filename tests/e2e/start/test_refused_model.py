"""`make run` with a model that breaks the protocol."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import Run


def test_run_with_a_wrong_model_says_why_and_ends(tmp_path: Path, runs: list[Run]) -> None:
    runs.append(run := Run(tmp_path, BYLINE_MODEL="tests.bad_models:Logits"))
    assert run.wait_until_ended() == 1
    assert "byline: worker ended: exit status 2" in run.output
    said = "BYLINE_MODEL=tests.bad_models:Logits can't be served: `forward` returned rows"
    assert said in run.output
    assert "Traceback" not in run.output
    assert run.processes() == []
