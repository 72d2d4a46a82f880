"""The engine on the CPU: order, warm-up, threads, and models that break the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from model.serving.engine import Engine
from model.serving.placement import Placement
from model.serving.status import Status
from model.types import Bucket, ModelError
from tests.models import CALLS, Broken, Vowels


def started(model: Vowels) -> Engine:
    engine = Engine(model, Placement("cpu"))
    engine.start()
    return engine


def test_predictions_keep_the_order_of_texts_over_several_passes() -> None:
    texts = ["aeiou", "xyz"] * 20  # the largest bucket holds 16
    predictions = started(Vowels()).predict(texts)
    assert [p.author for p in predictions] == ["vowels", "consonants"] * 20


def test_candidates_are_sorted_and_their_confidences_sum_to_one() -> None:
    [prediction] = started(Vowels()).predict(["hello"])
    confidences = [candidate.confidence for candidate in prediction.candidates]
    assert confidences == sorted(confidences, reverse=True)
    assert sum(confidences) == pytest.approx(1)
    assert prediction.confidence == confidences[0]


def test_engine_abstains_below_the_threshold() -> None:
    [unsure] = started(Vowels()).predict(["abcdef"])
    assert unsure.author is None
    assert unsure.confidence < Vowels.card.threshold


def test_start_runs_every_bucket_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []

    class Recording(Vowels):
        def prepare(self, texts: Sequence[str]) -> torch.Tensor:
            shapes.append(Bucket(len(texts), max(map(len, texts))))
            return super().prepare(texts)

    monkeypatch.setenv(CALLS, str(tmp_path / "calls"))
    started(Recording())
    assert tuple(shapes) == Vowels.buckets


def test_start_raises_model_error_when_the_warm_up_fails() -> None:
    with pytest.raises(ModelError, match=r"RuntimeError at Broken\.forward"):
        started(Broken())


def test_error_does_not_quote_the_text_of_the_models_error() -> None:
    with pytest.raises(ModelError) as raised:
        started(Vowels()).predict(["POISON secret"])
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (torch.ones(2, 2), "shape"),
        (torch.ones(1, 3), "shape"),
        (torch.full((1, 2), float("nan")), "not finite"),
    ],
)
def test_wrong_shape_or_nan_raises_model_error(output: torch.Tensor, words: str) -> None:
    class Wrong(Vowels):
        right = True

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return super().forward(batch) if self.right else output

    model = Wrong()
    engine = started(model)
    model.right = False
    with pytest.raises(ModelError, match=words):
        engine.predict(["one"])


def test_predict_from_another_thread_is_refused() -> None:
    engine = started(Vowels())
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="another thread"):
        pool.submit(engine.predict, ["hello"]).result()


class Novel(Vowels):
    """A model whose ``unseen`` returns the test's value, or raises the test's error."""

    def __init__(self, result: object) -> None:
        self.result = result

    def unseen(self, texts: Sequence[str]) -> object:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.mark.parametrize(
    ("result", "kept"),
    [
        ([0.25], (0.25,)),
        ([float("nan")], ()),
        ([2.0], ()),
        (None, ()),
        (["x"], ()),
        (ValueError("a text"), ()),
    ],
)
def test_invalid_novelty_is_dropped_and_the_prediction_kept(
    result: object, kept: tuple[float, ...]
) -> None:
    seen: list[Status] = []
    model: Any = Novel(result)
    engine = Engine(model, Placement("cpu"), on_batch=seen.append)
    engine.start()
    assert engine.predict(["aeiou"])[0].author == "vowels"
    assert seen[-1].unseen == kept
    assert (seen[-1].best.tolist(), len(seen[-1].confidence)) == ([0], 1)
