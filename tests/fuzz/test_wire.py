"""The types of messages between processes: encoding, decoding, and errors for odd values."""

from __future__ import annotations

import json
import time
import unicodedata
from base64 import b64decode
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from celery_app.app import make_celery
from celery_app.client.redis.task_packer import TaskPacker
from celery_app.settings import Settings
from model.canonical import canonical
from model.types import Candidate, Evidence, Part
from tasks.chunk_arguments import parse_chunk
from tasks.errors import InvalidMessage
from tasks.messages import (
    REPLIES,
    Announcement,
    Attribution,
    Chunk,
    Failure,
    Outcome,
    Reply,
    message_id,
    parse_text,
)
from tests.fuzz.given import ANY_TEXT, SCALARS, TEXTS, VALUES
from tests.fuzz.judge import share

LIMIT = 20
REPLY_TO = f"{REPLIES}here"
NOWHERE = {"BYLINE_REDIS_URL": "redis://127.0.0.1:1/0"}

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
PARTS = st.builds(Part, TEXTS, st.integers(0, 20_000), FLOATS)
EVIDENCE = st.builds(
    Evidence, TEXTS, FLOATS, FLOATS, st.lists(PARTS, max_size=3).map(tuple), FLOATS
)
ATTRIBUTIONS = st.builds(
    Attribution,
    id=TEXTS,
    author=st.none() | TEXTS,
    confidence=FLOATS,
    candidates=st.lists(st.builds(Candidate, TEXTS, FLOATS), max_size=3).map(tuple),
    model=TEXTS,
    cached=st.booleans(),
    evidence=st.just(msgspec.UNSET) | st.none() | EVIDENCE,
    ref=st.just(msgspec.UNSET) | TEXTS,
)
OUTCOMES = ATTRIBUTIONS | st.builds(Failure, TEXTS, TEXTS, TEXTS)
CARDS = st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers() | FLOATS | TEXTS)

#: Many examples: they send no request, and so take little time.
often = settings(max_examples=share(0.1))


@often
@given(
    value=st.one_of(
        st.tuples(st.just(Reply), st.builds(Reply, TEXTS, st.lists(OUTCOMES, max_size=4))),
        st.tuples(st.just(Outcome), OUTCOMES),
        st.tuples(st.just(Announcement), st.builds(Announcement, CARDS, TEXTS)),
    )
)
def test_an_encoded_value_is_decoded_unchanged(value: tuple[Any, Any]) -> None:
    kind, sent = value
    assert msgspec.json.decode(msgspec.json.encode(sent), type=kind) == sent


@often
@given(raw=st.binary(max_size=100) | VALUES.map(lambda v: json.dumps(v).encode()))
def test_any_bytes_are_decoded_or_refused(raw: bytes) -> None:
    for kind in (Reply, Outcome, Announcement):
        try:
            value = msgspec.json.decode(raw, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        assert msgspec.json.decode(msgspec.json.encode(value), type=kind) == value


@often
@given(text=ANY_TEXT | TEXTS)
def test_a_canonical_text_stays_unchanged(text: str) -> None:
    once = canonical(text)
    assert canonical(once) == once


@often
@given(text=SCALARS | TEXTS | VALUES)
def test_a_text_is_valid_or_refused(text: object) -> None:
    try:
        valid = parse_text(text, LIMIT)
    except InvalidMessage:
        return
    assert isinstance(text, str)
    assert valid == canonical(text)
    assert 0 < len(valid) <= LIMIT
    assert parse_text(valid, LIMIT) == valid
    assert len(bytes.fromhex(message_id("v", valid))) == 16


@often
@given(text=TEXTS, around=st.text(" \t\r\n\u00a0\u2003", max_size=5))
def test_texts_that_differ_in_form_have_one_id(text: str, around: str) -> None:
    id = message_id("v", canonical(text))
    for form in ("NFC", "NFD"):
        other = unicodedata.normalize(form, text).replace("\r\n", "\n").replace("\r", "\n")
        assert message_id("v", canonical(around + other + around)) == id
        assert message_id("v", canonical(other.replace("\n", "\r\n"))) == id


@often
@given(one=st.tuples(TEXTS, TEXTS), two=st.tuples(TEXTS, TEXTS))
def test_different_messages_have_different_ids(one: tuple[str, str], two: tuple[str, str]) -> None:
    one, two = (one[0], canonical(one[1])), (two[0], canonical(two[1]))
    assert (message_id(*one) == message_id(*two)) == (one == two)


def test_a_text_that_is_too_long_is_refused_at_once() -> None:
    begun = time.perf_counter()
    with pytest.raises(InvalidMessage):
        parse_text("a" + "\u0301\u0316" * 20_000, 20_000)
    assert time.perf_counter() - begun < 0.3


NAMES = st.sampled_from(["messages", "deadlines", "explain", "version", "promised"]) | ANY_TEXT
LISTS = st.lists(TEXTS | VALUES, max_size=4)
TIMES = st.lists(st.none() | FLOATS | SCALARS, max_size=4)
FITTING = st.fixed_dictionaries(
    {},
    optional={
        "deadlines": st.none() | TIMES,
        "explain": st.booleans(),
        "version": st.none() | TEXTS,
        "promised": st.booleans(),
    },
)


@often
@given(
    args=st.tuples(LISTS) | st.lists(VALUES, max_size=5) | VALUES,
    kwargs=FITTING
    | st.fixed_dictionaries({"version": ANY_TEXT})
    | st.dictionaries(NAMES, VALUES, max_size=4)
    | VALUES,
    reply_to=st.none() | st.just(REPLY_TO) | TEXTS,
)
def test_any_arguments_are_a_chunk_or_refused(args: Any, kwargs: Any, reply_to: str | None) -> None:
    try:
        chunk = parse_chunk("id", reply_to, args, kwargs)
    except InvalidMessage:
        return
    check_answerable(chunk)


@often
@given(texts=LISTS, kwargs=FITTING)
def test_valid_arguments_are_a_chunk(texts: list[Any], kwargs: dict[str, Any]) -> None:
    if kwargs.pop("deadlines", None) is not None:
        kwargs["deadlines"] = [1.5] * len(texts)
    chunk = parse_chunk("id", REPLY_TO, [texts], kwargs)
    assert all(a is b for a, b in zip(chunk.texts, texts, strict=True))
    assert chunk.reply_to == REPLY_TO
    check_answerable(chunk)


def check_answerable(chunk: Chunk) -> None:
    """Checks that a worker can reply with an id and an outcome for each message."""
    outcomes: list[Outcome] = []
    for text in chunk.texts:
        try:
            id = message_id(chunk.version or "v", parse_text(text, LIMIT))
        except InvalidMessage as error:
            outcomes.append(Failure("", error.code, str(error)))
        else:
            outcomes.append(Failure(id, "model_failed", ""))
    assert len(chunk.deadlines) == len(chunk.texts)
    reply = Reply(chunk.id, outcomes)
    assert msgspec.json.decode(msgspec.json.encode(reply), type=Reply) == reply


@pytest.fixture(scope="module")
def task_packer() -> TaskPacker:
    """A task packer as in the api. Nothing is sent."""
    return TaskPacker(make_celery(Settings.from_environ(NOWHERE)), REPLY_TO)


@often
@given(texts=st.lists(TEXTS, max_size=4), explain=st.booleans(), priority=st.integers(0, 9))
def test_the_worker_unpacks_the_chunk_that_the_api_packed(
    task_packer: TaskPacker, texts: list[str], explain: bool, priority: int
) -> None:
    options: dict[str, Any] = {"explain": explain, "version": "v", "deadlines": [1.5] * len(texts)}
    message = json.loads(task_packer.pack("queue", "chunk", texts, options, priority).message)
    args, kwargs, _ = json.loads(b64decode(message["body"]))
    reply_to = message["properties"]["reply_to"]
    chunk = parse_chunk(message["headers"]["id"], reply_to, args, kwargs)
    assert chunk == Chunk("chunk", texts, [1.5] * len(texts), explain, "v", REPLY_TO)
