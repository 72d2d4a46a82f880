"""Duplicate keys of JSON objects, also with escapes."""

from __future__ import annotations

import pytest

from api.requests.duplicate_keys import has_duplicate_key

KEYS = (b'"text"', b'"ref"')


@pytest.mark.parametrize(
    "document",
    [
        rb'{"text": "a", "text": "b"}',
        rb'{"text": "a", "ref": "b", "ref": "b"}',
        rb'{"text": "a", "\u0074ext": "b"}',
        rb'{"te\u0078t": "a", "\u0074ext": "b"}',
        b'{"text": "\xff", "text": "b"}',
    ],
)
def test_duplicate_key_is_found(document: bytes) -> None:
    assert has_duplicate_key(document, KEYS)


@pytest.mark.parametrize(
    "document",
    [
        rb'{"text": "a", "ref": "b"}',
        rb'{"text": "text", "ref": "text"}',
        rb'{"text": "\"text\": \"text\""}',
        rb'{"text": "caf\u00e9"}',
        rb'{"ref": {"text": 1, "text": 2}, "text": "text"}',
        b'{"text": ' + b"1" * 10_000 + b', "ref": "text"}',
        b'{"text": "\xff", "ref": "text"}',
    ],
)
def test_document_without_duplicate_key_passes(document: bytes) -> None:
    assert not has_duplicate_key(document, KEYS)
