"""The engine: one thread, warm buckets, and models that misbehave."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from model.serving.device import DeviceError, choose, try_out
from model.serving.engine import Engine
from model.serving.placement import Placement
from model.serving.status import Status
from model.types import Bucket, ModelError
from tests.models import CALLS, Broken, Vowels


def started(model: Vowels) -> Engine:
    engine = Engine(model, Placement("cpu"))
    engine.start()
    return engine


def test_predictions_keep_the_order_over_several_passes() -> None:
    texts = ["aeiou", "xyz"] * 20  # the largest bucket holds 16
    predictions = started(Vowels()).predict(texts)
    assert [p.author for p in predictions] == ["vowels", "consonants"] * 20


def test_confidences_are_ranked_and_sum_to_one() -> None:
    [prediction] = started(Vowels()).predict(["hello"])
    confidences = [candidate.confidence for candidate in prediction.candidates]
    assert confidences == sorted(confidences, reverse=True)
    assert sum(confidences) == pytest.approx(1)
    assert prediction.confidence == confidences[0]


def test_below_the_threshold_it_abstains() -> None:
    [unsure] = started(Vowels()).predict(["abcdef"])
    assert unsure.author is None
    assert unsure.confidence < Vowels.card.threshold


def test_every_bucket_is_warmed_before_it_is_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []

    class Noted(Vowels):
        def prepare(self, texts: Sequence[str]) -> torch.Tensor:
            shapes.append(Bucket(len(texts), max(map(len, texts))))
            return super().prepare(texts)

    monkeypatch.setenv(CALLS, str(tmp_path / "calls"))
    started(Noted())
    assert tuple(shapes) == Vowels.buckets


def test_a_model_that_cant_be_warmed_is_told_apart() -> None:
    with pytest.raises(ModelError, match=r"RuntimeError at Broken\.forward"):
        started(Broken())


def test_what_the_model_says_of_the_text_is_not_repeated() -> None:
    with pytest.raises(ModelError) as raised:
        started(Vowels()).predict(["POISON secret"])
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (torch.ones(2, 2), "shape"),
        (torch.ones(1, 3), "shape"),
        (torch.full((1, 2), float("nan")), "not finite"),
    ],
)
def test_a_model_that_breaks_its_protocol_is_caught(answer: torch.Tensor, words: str) -> None:
    class Wrong(Vowels):
        right = True

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return super().forward(batch) if self.right else answer

    model = Wrong()
    engine = started(model)
    model.right = False
    with pytest.raises(ModelError, match=words):
        engine.predict(["one"])


def test_another_thread_is_refused() -> None:
    engine = started(Vowels())
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="another thread"):
        pool.submit(engine.predict, ["hello"]).result()


def test_the_device_that_is_asked_for_is_used_or_refused() -> None:
    assert choose("cpu").torch == torch.device("cpu")
    missing = "mps" if not torch.backends.mps.is_available() else "cuda:99"
    with pytest.raises(DeviceError, match=missing):
        choose(missing)


def test_a_device_that_computes_wrongly_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    product = torch.Tensor.__matmul__
    answers = iter([0.0, 1.0])  # right on the CPU, then wrong on the device
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: product(a, b) + next(answers))
    with pytest.raises(DeviceError, match="can't be trusted"):
        try_out(torch.device("cpu"))


class Novel(Vowels):
    """A model that says how much of a text is new to it, or what it is told to say."""

    def __init__(self, said: object) -> None:
        self.said = said

    def unseen(self, texts: Sequence[str]) -> object:
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ([0.25], (0.25,)),
        ([float("nan")], ()),
        ([2.0], ()),
        (None, ()),
        (["x"], ()),
        (ValueError("a text"), ()),
    ],
)
def test_what_is_new_costs_nobody_an_answer(said: object, kept: tuple[float, ...]) -> None:
    seen: list[Status] = []
    model: Any = Novel(said)
    engine = Engine(model, Placement("cpu"), told=seen.append)
    engine.start()
    assert engine.predict(["aeiou"])[0].author == "vowels"
    assert seen[-1].unseen == kept
    assert (seen[-1].best.tolist(), len(seen[-1].confidence)) == ([0], 1)
