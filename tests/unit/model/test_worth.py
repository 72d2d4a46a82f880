"""Training and the model's page say in words how far the measured accuracy can be trusted."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from model import card, train
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


def with_details(measured_card: ModelCard, **details: object) -> ModelCard:
    return replace(measured_card, details=measured_card.details | details)


def test_authors_that_are_hardly_found_are_named() -> None:
    words = card.worth(with_details(measured(50, 100), hardly_found=["Bob", "Cy"]))
    assert words.endswith("Hardly ever found, with an F1 below 0.1: Bob, Cy.")


def test_only_some_of_many_authors_that_are_hardly_found_are_named() -> None:
    names = [f"author {number}" for number in range(25)]
    words = card.worth(with_details(measured(50, 100), hardly_found=names))
    assert "author 9 and 15 more." in words
    assert "author 10" not in words


def test_few_tuning_messages_give_an_interval_of_the_confidence() -> None:
    intervals = {"confidence_minus_accuracy": [-0.12, 0.08]}
    few = with_details(measured(20, 30), intervals=intervals, training={"messages_chosen_on": 120})
    words = card.worth(few)
    assert "rest on only 120 messages: do not rely on them." in words
    assert "the mean confidence minus the accuracy is between -0.12 and +0.08" in words
    many = with_details(few, training={"messages_chosen_on": card.ENOUGH_TUNING})
    assert "mean confidence" not in card.worth(many)


def tuned(accuracy: float, macro_f1: float) -> dict[str, float]:
    return {"tuning_accuracy": accuracy, "tuning_macro_f1": macro_f1}


def test_better_baseline_is_said_with_what_is_served_and_why() -> None:
    behind = with_details(measured(50, 100), training=tuned(0.6, 0.4), baseline=tuned(0.62, 0.41))
    words = card.worth(behind)
    assert "the baseline is better: accuracy 0.62 and macro-F1 0.41, against 0.6 and 0.4." in words
    assert "can't hold the baseline's features" in words
    alike = with_details(behind, baseline=tuned(0.601, 0.401))
    assert "baseline" not in card.worth(alike)


def test_baseline_that_is_not_better_or_not_run_is_not_mentioned() -> None:
    ahead = with_details(measured(50, 100), training=tuned(0.6, 0.4), baseline=tuned(0.59, 0.41))
    for each in (ahead, with_details(ahead, baseline={})):
        assert "baseline" not in card.worth(each)


@pytest.mark.parametrize("each", [3, 12])
def test_training_on_a_few_messages_succeeds_and_says_what_the_model_is_worth(
    each: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
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


def test_names_in_brackets_are_printed_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(0)
    # The two rare authors write as the common author does, so they are hardly ever found.
    rows = [
        {"text": " ".join(chance.choices(["a", "b", "c", "d"], k=8)), "author": author}
        for author, texts in (("[/x]", 60), ("[red]", 5), ("\x1b[2J", 5))
        for _ in range(texts)
    ]
    data, out = tmp_path / "few.jsonl", tmp_path / "[/out]"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert train.main(["--data", str(data), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"written to {out}" in said
    named = card.read(out).details["hardly_found"]
    assert named
    assert ", ".join(named).replace("\x1b", "\\x1b") in said
