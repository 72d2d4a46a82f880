"""How much waits, and whose it is."""

from __future__ import annotations

import pytest

from celery_app.client.dispatch.key_quota import KeyQuota
from celery_app.client.entry import Entry


def entry(owner: str, text: str = "a", version: str = "v1", explain: bool = False) -> Entry:
    return Entry("id", text, version, explain=explain, owner=owner)


@pytest.fixture
def room() -> KeyQuota:
    return KeyQuota(12)


def fill(room: KeyQuota, owner: str, messages: int) -> list[Entry]:
    entries = [entry(owner) for _ in range(messages)]
    for each in entries:
        assert room.holds(owner, 1)
        room.take(each)
    return entries


def test_one_owner_may_have_it_all_and_no_more(room: KeyQuota) -> None:
    [first, *_] = fill(room, "a", 12)
    assert not room.holds("a", 1)
    room.free(first)
    assert room.holds("a", 1)
    assert not room.holds("a", 2)
    assert room.messages == 11


def test_an_owner_who_has_it_all_refuses_only_himself(room: KeyQuota) -> None:
    fill(room, "greedy", 12)
    fill(room, "other", 6)
    assert not room.holds("other", 1)
    assert not room.holds("greedy", 1)
    fill(room, "third", 4)
    assert not room.holds("third", 1)


def test_an_owner_of_whom_nothing_waits_may_ask_for_more_than_there_is_room(room: KeyQuota) -> None:
    assert room.holds("a", 100)
    fill(room, "a", 1)
    assert not room.holds("a", 100)
    assert room.holds("b", 100)


def test_long_messages_take_more_room_and_evidence_none(room: KeyQuota) -> None:
    for _ in range(3):
        room.take(entry("a", "a" * 7_000, explain=True))
    assert not room.holds("a", 1)
    assert room.messages == 3


def test_more_than_half_of_one_version_shows(room: KeyQuota) -> None:
    for _ in range(6):
        room.take(entry("a", version="canary"))
    assert not room.is_half_full_of("canary")
    room.take(entry("a", version="canary"))
    assert room.is_half_full_of("canary")
    assert not room.is_half_full_of("v1")
