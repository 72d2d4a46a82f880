"""The share of messages that a canary takes, and the names of queues."""

from __future__ import annotations

import pytest

from tasks.rollout import Rollout, canary_hash, lists, queue_of

TEXTS = [f"message {number}" for number in range(20_000)]


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5, 0.99])
def test_a_canary_takes_its_share(share: float) -> None:
    rollout = Rollout("v1", "v2", share)
    taken = sum(map(rollout.takes, TEXTS)) / len(TEXTS)
    assert taken == pytest.approx(share, abs=0.01)


def test_a_larger_share_includes_the_messages_of_a_smaller_share() -> None:
    small, large = Rollout("v1", "v2", 0.05), Rollout("v1", "v3", 0.2)
    assert all(large.takes(text) for text in TEXTS if small.takes(text))


def test_without_a_canary_no_message_is_taken() -> None:
    assert not any(map(Rollout("v1").takes, TEXTS))
    assert not any(map(Rollout("v1", "v2", 0.0).takes, TEXTS))


def test_a_text_has_the_same_lot_in_each_process() -> None:
    """The value never changes: with another hash, an upgrade would give messages other versions."""
    assert canary_hash("message") == pytest.approx(0.7316659237318243, abs=1e-12)
    assert all(0 <= canary_hash(text) < 1 for text in TEXTS)


def test_queues_of_versions_share_no_list() -> None:
    names = [name for version in ("v1", "v10") for name in lists(queue_of(version))]
    assert len({*names, *lists("attributions")}) == 12
