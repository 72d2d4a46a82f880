"""Message ids, canonical texts, and the texts that are refused."""

from __future__ import annotations

import time
import unicodedata

import pytest

from model.canonical import canonical
from tasks.errors import InvalidMessage
from tasks.messages import message_id, parse_author, parse_text


def test_ids_have_128_bits_and_depend_on_model_and_text() -> None:
    ids = {message_id(v, t) for v in ("v1", "v2") for t in ("a", "b")}
    assert len(ids) == 4
    assert all(len(id) == 32 for id in ids)


def test_no_two_pairs_of_version_and_text_share_an_id() -> None:
    assert message_id("v1", "2:x") != message_id("v1:2", "x")
    assert message_id("v", "1:x") != message_id("v:1", "x")


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("plain text", "64d54a3c46980eccedbfd8110905002b"),
        ("  Cafe\u0301 noir\r\n", "f1e64ce56282d7a796f29df9810c1eb4"),
        ("a\r\nb\rc", "b6e467b2054fa542e3b756476f856f06"),
        ("\u1100\u1161\u11a8 \U0001f600", "d956590d4b540db4011c2d637df4aff5"),
        ("\u00a0x\u2003", "a6084ebc93a6bb8bc9ad20def667f9f7"),
    ],
)
def test_id_of_a_text_is_the_same_in_every_release(text: str, id: str) -> None:
    assert message_id("ngram-1", parse_text(text, 100)) == id


@pytest.mark.parametrize("name", ["Zo\u00eb", " Zoe\u0308", "Zo\u00eb\r\n"])
def test_names_that_look_the_same_are_one_author(name: str) -> None:
    assert parse_author(name) == "Zo\u00eb"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (7, "author must be a string"),
        (" ", "author is empty"),
        ("a\0", "author holds a zero byte"),
        ("\ud800", "author holds half of a surrogate pair"),
        ("a" * 201, "author has 201 characters"),
    ],
)
def test_an_invalid_name_is_refused_with_the_reason(name: object, words: str) -> None:
    with pytest.raises(InvalidMessage, match=words):
        parse_author(name)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("  a b \n", "a b"),
        ("a\r\nb\rc", "a\nb\nc"),
        ("cafe\u0301", "caf\u00e9"),
        ("two  spaces", "two  spaces"),
    ],
)
def test_a_text_is_canonicalised_and_a_canonical_text_stays_as_it_is(text: str, form: str) -> None:
    assert canonical(text) == form
    assert canonical(form) == form


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "not NoneType"),
        (b"bytes", "not bytes"),
        ("", "empty"),
        (" \n ", "empty"),
        ("x" * 11, "11 characters"),
        ("a" + "\u0301" * 40, "41 characters"),
        ("a\0b", "zero byte"),
        ("a" + "\u0301\u0316" * 16, "combining marks"),
        ("a" + "\u0301\U0001e94a" * 16, "combining marks"),
        ("\ud800", "surrogate"),
    ],
)
def test_an_invalid_text_is_refused_with_the_reason(text: object, words: str) -> None:
    with pytest.raises(InvalidMessage, match=words):
        parse_text(text, 10)


@pytest.mark.parametrize("text", ["x", "\U0001f600", "x" * 10, "a" + "\u0316" * 9, "\u1faf" * 10])
def test_an_odd_but_valid_text_passes(text: str) -> None:
    assert parse_text(text, 10) == text


def cpu_s(text: str) -> float:
    """Returns the CPU seconds that the check of a text takes: the minimum of five attempts."""
    took = []
    for _ in range(5):
        begin = time.thread_time()
        parse_text(text, 20_000)
        took.append(time.thread_time() - begin)
    return min(took)


def test_rare_combining_marks_take_about_as_long_as_usual_ones() -> None:
    usual = ("a" + "\u0301\u0316" * 15) * 640
    rare = ("a" + "\U0001d165\u0301" * 15) * 640
    assert cpu_s(rare) < 5 * cpu_s(usual)


def test_four_characters_that_compose_into_one_count_as_one() -> None:
    assert parse_text(unicodedata.normalize("NFD", "\u1faf" * 10), 10) == "\u1faf" * 10
