"""McNemar's test on two versions: a difference counts only if chance does not explain it."""

from __future__ import annotations

import pytest
from rich.console import Console

from model.retraining.comparison import Comparison, compare, conclusion, table


def of(only_old: int, only_new: int, name: str = "old data") -> Comparison:
    return Comparison(name, 100, 50, only_old, only_new)


def test_guesses_of_two_versions_are_compared_message_by_message() -> None:
    authors = ["a", "b", "a", "b", "c", "c"]
    old = ["a", "b", "b", "b", "a", "b"]
    new = ["a", "a", "a", "b", "c", "a"]
    assert compare("feedback", authors, old, new) == Comparison("feedback", 6, 2, 1, 2)


@pytest.mark.parametrize(
    ("only_old", "only_new", "p_value", "verdict"),
    [
        (0, 0, 1.0, "no difference proven"),
        (0, 5, 0.0625, "no difference proven"),
        (0, 6, 0.03125, "better"),
        (6, 0, 0.03125, "worse"),
        (1, 9, 0.021484375, "better"),
        (10, 12, 0.8318, "no difference proven"),
    ],
)
def test_difference_is_proven_only_where_chance_explains_it_badly(
    only_old: int, only_new: int, p_value: float, verdict: str
) -> None:
    comparison = of(only_old, only_new)
    assert comparison.p_value == pytest.approx(p_value, abs=1e-4)
    assert comparison.verdict == verdict


def test_parts_without_messages_prove_nothing() -> None:
    nothing = compare("feedback", [], [], [])
    assert (nothing.p_value, nothing.verdict) == (1.0, "no difference proven")
    assert "none" in printed([of(0, 6), nothing])


@pytest.mark.parametrize(
    ("old_data", "feedback", "words"),
    [
        ((3, 3), (0, 9), "v2 is better: it is better on feedback"),
        ((0, 9), (0, 9), "v2 is better: it is better on old data and feedback"),
        ((9, 0), (0, 9), "v2 is better on feedback and worse on old data"),
        ((9, 0), (2, 1), "v2 is worse on old data: do not serve it"),
        ((1, 2), (2, 1), "Whether v2 is better is not proven"),
    ],
)
def test_conclusion_says_whether_the_new_version_is_better(
    old_data: tuple[int, int], feedback: tuple[int, int], words: str
) -> None:
    said = conclusion("v2", [of(*old_data), of(*feedback, name="feedback")])
    assert said.startswith(words)


def printed(comparisons: list[Comparison]) -> str:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(table("ngram-1-0123456789ab", "ngram-1-ba9876543210", comparisons))
    return captured.get()


def test_table_fits_a_terminal_of_80_columns() -> None:
    lines = printed([of(1, 2), of(0, 9, "feedback")]).splitlines()
    cells = [[cell.strip() for cell in line.strip("│").split("│")] for line in lines if "│" in line]
    assert cells == [
        ["messages", "100", "100"],
        ["right: ngram-1-0123456789ab, old", "0.510", "0.500"],
        ["right: ngram-1-ba9876543210, new", "0.520", "0.590"],
        ["only the old version is right", "1", "0"],
        ["only the new version is right", "2", "9"],
        ["p-value of McNemar's test", "1", "0.0039"],
        ["the new version is", "no difference proven", "better"],
    ]
