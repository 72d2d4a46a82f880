"""``KeyQuota``: API keys share the capacity for messages."""

from __future__ import annotations

import pytest

from celery_app.client.dispatch.key_quota import KeyQuota
from celery_app.client.entry import Entry


def entry(owner: str, text: str = "a", version: str = "v1", explain: bool = False) -> Entry:
    return Entry("id", text, version, explain=explain, owner=owner)


@pytest.fixture
def quota() -> KeyQuota:
    return KeyQuota(12)


def fill(quota: KeyQuota, owner: str, messages: int) -> list[Entry]:
    entries = [entry(owner) for _ in range(messages)]
    for each in entries:
        assert quota.has_room(owner, 1)
        quota.take(each)
    return entries


def test_one_owner_may_take_all_the_capacity_and_no_more(quota: KeyQuota) -> None:
    [first, *_] = fill(quota, "a", 12)
    assert not quota.has_room("a", 1)
    quota.free(first)
    assert quota.has_room("a", 1)
    assert not quota.has_room("a", 2)
    assert quota.messages == 11


def test_an_owner_that_fills_the_capacity_leaves_others_an_equal_share(quota: KeyQuota) -> None:
    fill(quota, "greedy", 12)
    fill(quota, "other", 6)
    assert not quota.has_room("other", 1)
    assert not quota.has_room("greedy", 1)
    fill(quota, "third", 4)
    assert not quota.has_room("third", 1)


def test_an_owner_with_no_message_may_ask_for_more_than_the_capacity(quota: KeyQuota) -> None:
    assert quota.has_room("a", 100)
    fill(quota, "a", 1)
    assert not quota.has_room("a", 100)
    assert quota.has_room("b", 100)


def test_long_messages_take_more_capacity_and_evidence_takes_none(quota: KeyQuota) -> None:
    for _ in range(3):
        quota.take(entry("a", "a" * 7_000, explain=True))
    assert not quota.has_room("a", 1)
    assert quota.messages == 3


def test_a_version_with_more_than_half_of_the_capacity_is_reported(quota: KeyQuota) -> None:
    for _ in range(6):
        quota.take(entry("a", version="canary"))
    assert not quota.is_half_full_of("canary")
    quota.take(entry("a", version="canary"))
    assert quota.is_half_full_of("canary")
    assert not quota.is_half_full_of("v1")
