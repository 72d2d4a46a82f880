"""The check finds lone surrogates in JSON documents, and nothing else."""

from __future__ import annotations

import json

import pytest

from api.requests.surrogates import mark_lone_surrogates


@pytest.mark.parametrize(
    ("escaped", "count"),
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
def test_lone_surrogates_are_marked(escaped: str, count: int) -> None:
    marked = mark_lone_surrogates(f'["{escaped}"]'.encode())
    assert marked is not None
    assert json.loads(marked.document)[0].count(marked.character) == count
    json.loads(marked.document)[0].encode()


@pytest.mark.parametrize("escaped", ["", "x", r"\ud83d\ude00", r"\\ud83d", r"\u00e4", "\U0001f600"])
def test_document_without_lone_surrogate_is_left_alone(escaped: str) -> None:
    assert mark_lone_surrogates(f'["{escaped}"]'.encode()) is None


def test_character_of_the_document_is_not_used_as_mark() -> None:
    marked = mark_lone_surrogates('["\\ud83d", "\\ufdd0", "\\uFDD1", "\ufdd2"]'.encode())
    assert marked is not None
    assert marked.character == "\ufdd3"
