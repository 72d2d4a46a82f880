"""The estimate of the work that a message causes, in units."""

from __future__ import annotations

import pytest

from tasks.work import EVIDENCE, work


@pytest.mark.parametrize(
    ("text", "cost"),
    [("", 1), ("a", 1), ("a" * 2000, 1), ("a" * 2001, 2), ("é" * 16_000, 8), (None, 1), ([], 1)],
)
def test_a_message_has_one_unit_of_work_for_each_begun_2000_characters(
    text: object, cost: int
) -> None:
    assert work(text, False) == cost
    assert work(text, True) == cost * EVIDENCE
