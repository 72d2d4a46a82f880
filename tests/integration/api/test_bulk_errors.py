"""The error of an invalid message in a bulk request names the message, and returns its ``ref``."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.ways import Http

#: An invalid message as JSON, and its error after ``messages[<index>]``.
INVALID = {
    "no text": ('{"ref": "a"}', ": Object missing required field `text`"),
    "a number": ('{"ref": "a", "text": 5}', ".text: Expected `str`, got `int`"),
    "nothing": ('{"ref": "a", "text": ""}', ".text: Expected `str` of length >= 1"),
    "blanks": ('{"ref": "a", "text": "  "}', ".text is empty"),
    "too long": (
        '{"ref": "a", "text": "%s"}' % ("x" * 20_001),
        ".text has 20,001 characters; at most 20,000",
    ),
    "a zero byte": (r'{"ref": "a", "text": "x\u0000"}', ".text holds a zero byte"),
    "a misspelt key": (
        '{"ref": "a", "txt": "x", "text": "x"}',
        ": an object has an unknown field, 'txt'; did you mean text?",
    ),
    "a key twice": (
        '{"ref": "a", "text": "x", "text": "y"}',
        ": an object has a key twice",
    ),
    "half of a pair": (
        r'{"ref": "a", "text": "x\ud800"}',
        ": text holds half of a surrogate pair",
    ),
}
#: Invalid messages without a ``ref`` that could come back.
WITHOUT_REF = {
    "no object": ("7", ": Expected `object`, got `int`"),
    "a number as ref": ('{"ref": 7, "text": "x"}', ".ref: Expected `str`, got `int`"),
    "half of a pair in the ref": (
        r'{"ref": "\ud800", "text": "x"}',
        ": text holds half of a surrogate pair",
    ),
}


def answers(http: Http, *messages: str) -> list[dict[str, Any]]:
    body = f'{{"messages": [{", ".join(messages)}]}}'.encode()
    headers = {"Content-Type": "application/json"}
    answer = http.post("/v1/attributions", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    return list(json.loads(answer.content)["attributions"])


def test_each_invalid_message_has_its_index_and_its_ref(http: Http) -> None:
    good = '{"text": "a good one", "ref": "good"}'
    first, *items, last = answers(http, good, *(raw for raw, _ in INVALID.values()), good)
    assert first["author"]
    assert last["author"]
    for index, (item, (_, detail)) in enumerate(zip(items, INVALID.values(), strict=True), 1):
        error = {"code": "invalid", "detail": f"messages[{index}]{detail}"}
        assert item == {"error": error, "ref": "a"}


@pytest.mark.parametrize("case", WITHOUT_REF)
def test_ref_that_cant_be_read_is_left_out(http: Http, case: str) -> None:
    raw, detail = WITHOUT_REF[case]
    [item] = answers(http, raw)
    assert item == {"error": {"code": "invalid", "detail": f"messages[0]{detail}"}}


@pytest.mark.parametrize("word", ["true", "1", "yes", "on", "TRUE", "Yes"])
def test_words_for_true_are_alike(http: Http, word: str) -> None:
    answer = http.attribute({"text": "a question of words"}, explain=word).json()
    assert "evidence" in answer


@pytest.mark.parametrize("word", ["false", "0", "no", "off", "False"])
def test_words_for_false_are_alike(http: Http, word: str) -> None:
    answer = http.attribute({"text": "a question of words"}, explain=word).json()
    assert "evidence" not in answer


@pytest.mark.parametrize("path", ["/v1/attributions", f"/v1/attributions/{'0' * 32}"])
def test_misspelt_option_is_refused_with_the_one_that_is_meant(http: Http, path: str) -> None:
    body = {"text": "x"} if path.endswith("attributions") else None
    answer = http.request("POST" if body else "GET", path, json=body, params={"explian": "true"})
    assert answer.status_code == 422
    assert answer.json()["detail"].endswith("'explian'; did you mean explain?")


def test_other_word_is_refused_with_the_valid_ones(http: Http) -> None:
    answer = http.attribute({"text": "x"}, explain="perhaps")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("explain must be on or off; true, 1 and yes")
