"""Queries: repeated and unknown names are refused."""

from __future__ import annotations

import pytest

from api.requests.query import parse_query
from celery_app.hints import MAX_SHOWN_CHARACTERS
from tasks.errors import InvalidMessage

KNOWN = ("explain", "model", "wait")


@pytest.mark.parametrize(
    ("query", "values"),
    [
        (b"", {}),
        (b"&&", {}),
        (b"wait=1", {"wait": "1"}),
        (b"%77ait=&model=a%20b", {"wait": "", "model": "a b"}),
    ],
)
def test_known_names_are_returned(query: bytes, values: dict[str, str]) -> None:
    assert parse_query(query, KNOWN) == values


@pytest.mark.parametrize(
    "query", [b"wait=abc&wait=1", b"wait=1&explain=true&wait=1", b"wait&%77ait"]
)
def test_repeated_name_is_refused_and_named(query: bytes) -> None:
    with pytest.raises(InvalidMessage, match="names wait twice"):
        parse_query(query, KNOWN)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        (b"wiat=1", "'wiat'; did you mean wait?"),
        (b"Wait=1", "'Wait'; did you mean wait?"),
        (b"zzz=1", "'zzz'$"),
        (b"=", "''$"),
        (b"wait[]=1", "did you mean wait"),
        (b"%ff%0a=1", r"'\\ufffd\\n'$"),
    ],
)
def test_unknown_name_is_refused_and_named(query: bytes, words: str) -> None:
    with pytest.raises(InvalidMessage, match=words.replace("?", r"\?")):
        parse_query(query, KNOWN)


def test_long_unknown_name_is_shortened_in_the_error() -> None:
    with pytest.raises(InvalidMessage) as raised:
        parse_query(b"x" * 30_000, KNOWN)
    assert len(str(raised.value)) < MAX_SHOWN_CHARACTERS + 60
