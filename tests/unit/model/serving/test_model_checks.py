"""Models that break the protocol are refused, with one sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from model.serving.device import Device, DeviceError
from model.serving.engine import Engine
from model.serving.loading import create
from model.serving.model_checks import check_model
from model.serving.placement import Placement
from model.types import Bucket, DeviceLost, Encoded, Grid, ModelError, ModelRefused
from tests.bad_models import Logits
from tests.models import Letters, Vowels

CARD = Vowels.card


def having(base: type = Vowels, **members: object) -> Any:
    """Returns an instance of a subclass of ``base`` with these members."""
    return type("Bad", (base,), members)()


def lacking(*names: str, base: type = Vowels) -> Any:
    """Returns an instance of a class like ``base`` without these members."""
    return type("Bad", (), {k: v for k, v in vars(base).items() if k not in names})()


def refusal(model: Any) -> str:
    """Returns the sentence with which a starting engine refuses a model."""
    check_model(model)
    with pytest.raises(ModelRefused) as refused:
        Engine(model, Placement("cpu")).start()
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("model", [Vowels(), Letters()])
def test_model_that_keeps_the_protocol_passes(model: Any) -> None:
    check_model(model)
    Engine(model, Placement("cpu")).start()


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lacking("prepare"), "lacks `prepare`: a model has the members `card`, `buckets`, "),
        (lacking("buckets"), "lacks `buckets`:"),
        (lacking("card"), "lacks `card`:"),
        (lacking("load", "forward"), "lacks `load` and `forward`:"),
        (lacking("grid", base=Letters), "lacks `grid`: a model has the members `card`, `grid`, "),
        (object(), "lacks `card`, `buckets`, `load`, `prepare` and `forward`"),
        (having(prepare=None), "`prepare` is no method"),
        (having(card={"name": "vowels"}), "`card` is of the type dict and not ModelCard"),
        (having(card=replace(CARD, name=" ")), r"`card\.name` is empty"),
        (having(card=replace(CARD, version="")), r"`card\.version` is empty: name the weights"),
        (having(card=replace(CARD, version=None)), r"`card\.version` is empty"),
        (having(card=replace(CARD, version="vowels 1")), "'vowels 1', with white space"),
        (having(card=replace(CARD, version="vowels\n")), "with white space or a control"),
        (having(card=replace(CARD, authors="poet")), r"type str and not a tuple of names"),
        (having(card=replace(CARD, authors=())), r"`card\.authors` is empty"),
        (having(card=replace(CARD, authors=("poet", 1))), r"`card\.authors` holds 1"),
        (having(card=replace(CARD, authors=("a", "b", "a"))), "names 'a' more than once"),
        (having(card=replace(CARD, threshold=60)), "is 60 and not a number from 0 to 1"),
        (having(card=replace(CARD, threshold=-0.1)), "is -0.1 and not a number from 0 to 1"),
        (having(card=replace(CARD, threshold=float("nan"))), "is nan and not a number"),
        (having(card=replace(CARD, threshold="0.6")), "is '0.6' and not a number"),
        (having(card=replace(CARD, details=["poor"])), r"`card\.details` is no dict"),
        (having(card=replace(CARD, details={"a": object()})), "can't be written as JSON"),
        (having(buckets=()), "`buckets` holds no batch shape: write"),
        (having(buckets=64), "`buckets` holds no batch shape"),
        (having(buckets=((1, 300),)), r"holds \(1, 300\), which is no Bucket"),
        (having(buckets=(Bucket(0, 300),)), "no Bucket of two whole numbers above 0"),
        (having(buckets=(Bucket(64, 9), Bucket(1, 9))), "out of order, 64 messages before 1:"),
        (having(Letters, grid=((1, 2), (8, 16))), "`grid` is no Grid: write"),
        (having(Letters, grid=Grid((), (8,))), r"`grid\.messages` is \(\) and not"),
        (having(Letters, grid=Grid((1,), (16, 8))), r"`grid\.lengths` is \(16, 8\) and not"),
    ],
)
def test_model_with_a_wrong_member_is_refused(model: Any, words: str) -> None:
    with pytest.raises(ModelRefused, match=words):
        check_model(model)


def returning(change: Any) -> Any:
    """Returns a model whose ``forward`` returns ``change(probabilities)``."""
    return having(forward=lambda self, batch: change(Vowels.forward(self, batch)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: 5 * rows, "no probabilities, .* adds up to 5: did you forget softmax"),
        (lambda rows: rows - 0.5, "did you forget softmax"),
        (lambda rows: rows.log(), "did you mean softmax instead of log_softmax"),
        (lambda rows: rows.sigmoid(), "A sigmoid, or a softmax over dim=0"),
        (lambda rows: rows.softmax(0), "A sigmoid, or a softmax over dim=0"),
        (lambda rows: rows.numpy(), r"numpy\.ndarray and not a torch\.Tensor: .*from_numpy"),
        (lambda rows: rows.tolist(), r"returned list and not a torch\.Tensor"),
        (lambda rows: None, r"NoneType and not a torch\.Tensor"),
        (lambda rows: rows[:, :1], r"shape \(1, 1\) and not \(1, 2\): return one row for each"),
        (lambda rows: rows[0], r"shape \(2,\) and not \(1, 2\)"),
        (lambda rows: rows[:1], r"shape \(1, 2\) and not \(16, 2\)"),
        (lambda rows: rows.double(), r"torch\.float64 and not torch\.float32: .*\.float\(\)"),
        (lambda rows: rows.half(), r"torch\.float16 and not torch\.float32"),
        (lambda rows: rows * float("nan"), "a number that is not finite"),
        (lambda rows: rows / 0, "a number that is not finite"),
    ],
)
def test_model_with_a_wrong_output_is_refused(change: Any, words: str) -> None:
    assert re.search(words, refusal(returning(change)))


def test_model_without_softmax_is_refused() -> None:
    assert "did you forget softmax? End `forward` with .softmax(dim=1)" in refusal(Logits())


def test_sequence_model_without_softmax_is_refused() -> None:
    logits = having(Letters, forward=lambda self, batch: 3 * Letters.forward(self, batch))
    assert "did you forget softmax" in refusal(logits)


def test_probabilities_that_were_rounded_to_bf16_are_accepted() -> None:
    Engine(returning(lambda rows: rows.bfloat16().float()), Placement("cpu")).start()


def raising(name: str, error: Exception) -> Any:
    """Returns a model whose method ``name`` raises ``error``."""

    def raise_error(*_: object) -> None:
        raise error

    return having(**{name: raise_error})


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (raising("load", RuntimeError("size mismatch\n\tfor weight")), "size mismatch for weight"),
        (raising("load", FileNotFoundError("no weights")), "FileNotFoundError at .*: no weights"),
        (raising("load", ValueError("x" * 1000)), r"x{300} …$"),
        (raising("prepare", KeyError("word")), r"raised KeyError at raising.*:\d+: 'word'$"),
        (raising("forward", AssertionError()), r"raised AssertionError at \S+:\d+$"),
    ],
)
def test_model_that_raises_is_refused_with_type_place_and_text(model: Any, words: str) -> None:
    assert re.search(words, refusal(model))


def test_model_that_does_not_fit_the_memory_is_no_wrong_model() -> None:
    model = raising("load", torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(DeviceError, match="does not fit the memory of cpu: CUDA out of memory"):
        Engine(model, Placement("cpu")).start()
    model = raising("forward", torch.OutOfMemoryError("CUDA out of memory"))
    with pytest.raises(ModelError, match="one message does not fit") as failed:
        Engine(model, Placement("cpu")).start()
    assert not isinstance(failed.value, ModelRefused)


def test_device_that_fails_while_a_model_loads_is_no_wrong_model() -> None:
    model = raising("load", torch.AcceleratorError("CUDA error: illegal memory access\nmore"))
    with pytest.raises(DeviceLost, match=r"illegal memory access$"):
        Engine(model, Placement("cpu"), lambda name, worker: Device(torch.device("cpu"))).start()


def encoding(change: Any) -> Any:
    """Returns a model whose ``encode`` returns ``change(encoded)``."""
    return having(Letters, encode=lambda self, texts: change(Letters.encode(self, texts)))


def uncut(self: object, texts: Sequence[str]) -> Encoded:
    tokens = np.array([ord(c) for text in texts for c in text], np.int64)
    offsets = np.cumsum([0, *map(len, texts)])
    return Encoded(tokens, offsets, np.zeros((len(texts), 0), np.float32))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (encoding(tuple), r"returned no Encoded: write Encoded\("),
        (encoding(lambda e: e._replace(tokens=e.tokens.tolist())), "tokens of the type list"),
        (encoding(lambda e: e._replace(tokens=torch.tensor(e.tokens))), "of the type Tensor"),
        (encoding(lambda e: e._replace(tokens=e.tokens * 1.0)), "tokens of float64 in 1 dim"),
        (encoding(lambda e: e._replace(features=np.zeros(3))), "features of float64 in 1 dim"),
        (encoding(lambda e: e._replace(offsets=e.offsets[:-1])), "3 offsets and 3 rows"),
        (encoding(lambda e: e._replace(features=np.zeros((1, 0)))), "4 offsets and 1 rows"),
        (encoding(lambda e: e._replace(offsets=e.offsets + 1)), "offsets from 1 to "),
        (having(Letters, encode=uncut), "`grid` allows 1 to 32: cut longer texts"),
    ],
)
def test_model_whose_encode_breaks_the_protocol_is_refused(model: Any, words: str) -> None:
    assert re.search(words, refusal(model))


@pytest.mark.parametrize(
    ("name", "directory", "words"),
    [
        ("vowels", None, "'vowels' names no class: write package.module:Class"),
        ("no_such_folder.mine:Vowels", None, "there is no module 'no_such_folder'; put its folder"),
        ("tests.models:Missing", None, "has no attribute 'Missing'"),
        ("tests.parts:ROOT", None, "not callable"),
        ("tests.models:Vowels", Path("x"), r"Vowels\(\) takes no arguments"),
        ("model.ngram:NgramModel", Path("/no/such"), "/no/such/card.json"),
        ("tests.bad_models:Doubled", None, "more than once"),
    ],
)
def test_class_that_can_not_be_made_is_refused(
    name: str, directory: Path | None, words: str
) -> None:
    with pytest.raises(ModelRefused, match=words):
        create(name, directory)


def test_module_with_a_syntax_error_is_refused_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "typo_in_model.py").write_text("class Mine:\n    card = (\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelRefused, match=r"was never closed \(typo_in_model\.py, line 2\)"):
        create("typo_in_model:Mine")


def test_constructor_that_raises_any_error_is_refused() -> None:
    with pytest.raises(ModelRefused, match="KeyError: 'PATH_OF_WEIGHTS'"):
        create("tests.bad_models:Unset")
