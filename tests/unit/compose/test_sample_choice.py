"""Which sample messages are shown: a sure one, a hard one, and one without an author."""

from __future__ import annotations

from typing import Any

from compose import sample_message
from compose.sample_message import ABSTAINED, ANYTHING, HARD, NOBODYS, SURE, Sample


def answer(author: str | None, confidence: float) -> dict[str, Any]:
    candidates = [{"author": author or "Somebody", "confidence": confidence}]
    return {"author": author, "confidence": confidence, "candidates": candidates, "cached": False}


class Api:
    """Answers with what is prescribed for each text."""

    def __init__(self, answers: dict[str, dict[str, Any]]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, text: str, author: str) -> Sample:
        self.asked.append(text)
        if text == ANYTHING:
            return Sample(text, author, answer("Ben", 0.5), 250.0)
        return Sample(text, author, self.answers[text], 4.6)


def shown(answers: dict[str, dict[str, Any]]) -> tuple[Api, str]:
    api = Api(answers)
    held_out = [(text, "Ann") for text in answers if text != NOBODYS]
    return api, "\n".join(sample_message._three(api, held_out, 0.45))


def in_one_line(said: str) -> str:
    return " ".join(said.split())


def test_three_are_shown_with_their_times_and_the_reason_for_no_author() -> None:
    api, said = shown(
        {
            NOBODYS: answer(None, 0.12),
            "wrong": answer("Ben", 0.95),
            "neither": answer("Ann", 0.8),
            "hard": answer("Ann", 0.5),
            "hard too": answer("Ann", 0.6),
            "sure": answer("Ann", 0.97),
            "not asked": answer("Ann", 0.99),
        }
    )
    assert "not asked" not in api.asked
    order = [said.index(f"{title}:") for title in (SURE, HARD, ABSTAINED)]
    assert order == sorted(order)
    for text in ("sure\n", "hard\n", NOBODYS[:60]):
        assert text in said
    assert "hard too" not in said
    assert said.count("took        5 ms") == 3
    assert "only 0.12; below 0.45 it would be wrong too often" in said
    tally = (
        "To find these, it took 5 held-out messages in random order: 4 right, 1 wrong, "
        "0 without an author."
    )
    assert f"{tally} The first message after the start took 250 ms." in in_one_line(said)


def test_made_up_message_that_gets_an_author_is_not_shown() -> None:
    _, said = shown(
        {NOBODYS: answer("Ben", 0.5), "lost": answer(None, 0.3), "sure": answer("Ann", 0.97)}
    )
    assert "train" not in said
    assert f"{ABSTAINED}:\nlost\n" in said
    assert HARD not in said, "there was none"
    assert "1 right, 0 wrong, 1 without an author." in in_one_line(said)
