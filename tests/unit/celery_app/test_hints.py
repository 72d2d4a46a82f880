"""Unknown names in error texts: shortened, without line breaks, and with a guess."""

from __future__ import annotations

import pytest

from celery_app.hints import MAX_SHOWN_CHARACTERS, nearest, printable, unknown_name

KNOWN = ("text", "messages", "deadline_ms", "priority")


@pytest.mark.parametrize(
    ("name", "close"),
    [("txt", "text"), ("message", "messages"), ("deadline", "deadline_ms"), ("more", None)],
)
def test_nearest_name_is_found(name: str, close: str | None) -> None:
    assert nearest(name, KNOWN) == close


def test_case_of_letters_does_not_count() -> None:
    assert unknown_name("field", "TEXT", KNOWN) == "an unknown field, 'TEXT'; did you mean text?"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b", "a b"),
        ("it's", "it's"),
        ("a\r\nb\x00\x7f", r"a\r\nb\x00\x7f"),
        ("caf\u00e9\u202e", r"caf\xe9\u202e"),
        ("x" * MAX_SHOWN_CHARACTERS, "x" * MAX_SHOWN_CHARACTERS),
        ("x" * 1_000_000, "x" * MAX_SHOWN_CHARACTERS + "..."),
    ],
)
def test_name_is_shown_in_one_short_line(name: str, shown: str) -> None:
    assert printable(name) == shown
