"""Training and the model's page say in words how far the measured accuracy can be trusted."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from model import card, train
from model.ngram import fit
from model.types import ModelCard


def measured(right: int, held_out: int, documents: int | None = None) -> ModelCard:
    messages = 5 * held_out
    details = {
        "data": {
            "held_out_messages": held_out,
            "messages": messages,
            "documents": documents or messages,
        },
        "metrics": {"accuracy": round(right / held_out, 4)},
    }
    return ModelCard("a model", "a-1", ("Ann", "Bob", "Cy"), 0.5, details)


def test_few_messages_are_said_to_be_too_few_with_an_interval_and_advice() -> None:
    words = card.worth(measured(5, 6))
    assert "right for 5 of 6 held-out messages" in words
    assert "between 0.44 and 0.97 (95 % confidence)" in words
    assert "too few messages to tell how good the model is" in words
    assert "Label more messages and train again: 500 in all" in words
    assert "guess, 0.33" not in words


def test_interval_that_holds_a_guess_says_so() -> None:
    assert "may be no better than a guess, 0.33" in card.worth(measured(3, 6))


def test_enough_messages_give_the_interval_only() -> None:
    words = card.worth(measured(50, 100))
    assert "between 0.40 and 0.60" in words
    assert "few" not in words


def test_messages_of_one_document_widen_the_margin() -> None:
    assert "the true margin is wider" in card.worth(measured(50, 100, documents=20))
    assert "margin" not in card.worth(measured(50, 100))


@pytest.mark.parametrize("each", [3, 12])
def test_training_on_a_few_messages_succeeds_and_says_what_the_model_is_worth(
    each: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fit, "MIN_STEPS", 20)
    chance = random.Random(0)
    rows = [
        {"text": " ".join(chance.choices(words.split(), k=8)), "author": author}
        for author, words in (("Ann", "the garden was quiet and green"), ("Bob", "SHIP IT NOW!"))
        for _ in range(each)
    ]
    data, out = tmp_path / "few.jsonl", tmp_path / "out"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert train.main(["--data", str(data), "--out", str(out)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    words = card.worth(card.read(out))
    assert "These are too few messages to tell how good the model is." in words
    assert words in said
    assert words in (out / card.PAGE_FILE).read_text(encoding="utf-8")
