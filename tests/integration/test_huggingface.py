"""Workers with a Hugging Face model answer over HTTP as transformers' own pipeline does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.huggingface import tiny_models
from tests.huggingface.tiny_models import LABELS, TEXTS
from tests.parts import Stack


@pytest.mark.parametrize("write", [tiny_models.bert, tiny_models.roberta])
def test_answers_over_http_are_those_of_the_pipeline(
    own: Stack, tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    folder = write(tmp_path / "model")
    own.env |= {"BYLINE_MODEL": "huggingface", "BYLINE_MODEL_DIR": str(folder)}
    own.worker()
    own.api()
    found = own.attribute({"messages": [{"text": text} for text in TEXTS]}, wait=30)
    assert found.status_code == 200, found.text
    for answer, expected in zip(
        found.json()["attributions"], tiny_models.pipeline(folder), strict=True
    ):
        scores = {one["author"]: one["confidence"] for one in answer["candidates"]}
        assert scores == pytest.approx(expected, abs=1e-4)
        assert answer["author"] == max(expected, key=expected.__getitem__)
    card = httpx.get(f"{own.url}/v1/models").json()["card"]
    assert card["version"] == answer["model"]
    assert card["authors"] == list(LABELS)
    assert "accuracy" in card["details"]["not_known"]
    explained = own.attribute({"text": TEXTS[0]}, explain="true", wait=30).json()
    assert explained["evidence"] is None


def test_worker_refuses_a_folder_without_a_model_in_one_line(own: Stack, tmp_path: Path) -> None:
    worker = own.start_worker(BYLINE_MODEL="huggingface", BYLINE_MODEL_DIR=str(tmp_path))
    assert worker.process.wait(60) == 2
    said = f"BYLINE_MODEL=huggingface with BYLINE_MODEL_DIR={tmp_path} can't be served: {tmp_path}"
    assert [line for line in worker.output.splitlines() if f"{said} is no model: it has no" in line]
    assert "Traceback" not in worker.output


def test_feedback_with_a_label_counts(own: Stack, tmp_path: Path) -> None:
    folder = tiny_models.bert(tmp_path / "model")
    own.worker(BYLINE_MODEL="huggingface", BYLINE_MODEL_DIR=str(folder))
    own.api()
    answer = own.attribute({"text": TEXTS[0]}, wait=30).json()
    report = {"id": answer["id"], "author": answer["author"]}
    sent = httpx.post(f"{own.url}/v1/feedback", json=report, timeout=10)
    assert (sent.status_code, sent.json()["correct"]) == (202, True)
