"""Halves of surrogate pairs: found wherever they stand, and nothing else is."""

from __future__ import annotations

import json

import pytest

from api.requests.surrogates import mark_halves


@pytest.mark.parametrize(
    ("escaped", "halves"),
    [
        (r"\ud83d", 1),
        (r"\uDC00", 1),
        (r"\ud83dx", 1),
        (r"\ud83d\ud83d\ude00", 1),
        (r"\ud83d\ude00\ude00", 1),
        (r"\ude00\ud83d", 2),
        (r"\\\ud83d", 1),
    ],
)
def test_halves_are_marked(escaped: str, halves: int) -> None:
    marked = mark_halves(f'["{escaped}"]'.encode())
    assert marked is not None
    assert json.loads(marked.document)[0].count(marked.read) == halves
    json.loads(marked.document)[0].encode()


@pytest.mark.parametrize("escaped", ["", "x", r"\ud83d\ude00", r"\\ud83d", r"\u00e4", "\U0001f600"])
def test_what_is_whole_is_left_alone(escaped: str) -> None:
    assert mark_halves(f'["{escaped}"]'.encode()) is None


def test_a_mark_that_stands_there_already_is_not_taken() -> None:
    marked = mark_halves('["\\ud83d", "\\ufdd0", "\\uFDD1", "\ufdd2"]'.encode())
    assert marked is not None
    assert marked.read == "\ufdd3"
