"""The command for model versions: the rollout after each change."""

from __future__ import annotations

import pytest

from celery_app.models import Change, Refused, table
from tasks.rollout import Rollout, ServedVersions

WORKERS = {"v1": 2, "v2": 1, "v0": 0}


def change(rollout: Rollout | None = Rollout("v1"), **workers: int) -> Change:  # noqa: B008
    return Change(ServedVersions(rollout, WORKERS | workers, frozenset()))


def test_serve_sends_messages_to_another_version_and_remembers_the_last() -> None:
    assert change().serve("v2") == Rollout("v2", previous="v1", set_by_operator=True)


def test_serve_of_the_current_version_pins_it_and_ends_the_canary() -> None:
    canary = Rollout("v1", "v2", 0.1, previous="v0")
    assert change(canary).serve("v1") == Rollout("v1", previous="v0", set_by_operator=True)


def test_share_starts_changes_and_ends_a_canary() -> None:
    canary = change().share("v2", 0.05)
    assert canary == Rollout("v1", "v2", 0.05, set_by_operator=True)
    assert change(canary).share("v2", 0.2) == Rollout("v1", "v2", 0.2, set_by_operator=True)
    assert change(canary).share("v2", 0) == Rollout("v1", set_by_operator=True)
    assert change(canary, v2=0).share("v2", 0) == Rollout("v1", set_by_operator=True), "dead?"


def test_promote_serves_the_canary_and_remembers_the_last() -> None:
    canary = Rollout("v1", "v2", 0.1, previous="v0", set_by_operator=True)
    promoted = change(canary).promote()
    assert promoted == Rollout("v2", previous="v1", set_by_operator=True)
    assert change(promoted).back() == Rollout("v1", previous="v2", set_by_operator=True)


def test_promote_is_refused_without_a_canary() -> None:
    with pytest.raises(Refused, match="no version is a canary"):
        change().promote()


def test_promote_is_refused_if_the_canary_has_lost_its_workers() -> None:
    with pytest.raises(Refused, match="no worker serves v2"):
        change(Rollout("v1", "v2", 0.1), v2=0).promote()


@pytest.mark.parametrize(
    ("now", "then"),
    [
        (
            Rollout("v1", "v2", 0.1, previous="v0"),
            Rollout("v1", previous="v0", set_by_operator=True),
        ),
        (Rollout("v2", previous="v1"), Rollout("v1", previous="v2", set_by_operator=True)),
    ],
)
def test_back_ends_the_canary_or_serves_the_previous_version(now: Rollout, then: Rollout) -> None:
    assert change(now).back() == then


def test_follow_lets_the_workers_decide_again() -> None:
    assert not change(Rollout("v1", "v2", 0.5, set_by_operator=True)).follow().set_by_operator
    assert change(Rollout("v1", "v2", 0.5, set_by_operator=True)).follow().canary is None


@pytest.mark.parametrize("share", [-0.1, 1.0, 1.5, float("nan"), float("inf")])
def test_a_share_outside_zero_to_one_is_refused(share: float) -> None:
    with pytest.raises(Refused, match="from 0 to less than 1"):
        change().share("v2", share)


@pytest.mark.parametrize("version", ["v0", "v7"])
def test_a_version_without_a_worker_is_refused(version: str) -> None:
    for refused in (lambda: change().serve(version), lambda: change().share(version, 0.1)):
        with pytest.raises(Refused, match=f"no worker serves {version}; alive: v1, v2"):
            refused()


def test_the_current_version_is_refused_as_canary() -> None:
    with pytest.raises(Refused, match="v1 is served"):
        change().share("v1", 0.1)


def test_ending_a_version_that_is_no_canary_is_refused() -> None:
    with pytest.raises(Refused, match="v0 is no canary"):
        change(Rollout("v1", "v2", 0.1)).share("v0", 0)


def test_back_is_refused_before_a_second_version() -> None:
    with pytest.raises(Refused, match="nothing was served before v1"):
        change().back()


def test_changes_are_refused_before_the_first_worker() -> None:
    with pytest.raises(Refused, match="no worker has ever signed in"):
        Change(ServedVersions(None, {}, frozenset())).follow()
    assert table(ServedVersions(None, {}, frozenset())) == "no worker has ever signed in"


def test_the_table_shows_workers_and_shares_of_each_version() -> None:
    rollout = Rollout("v1", "v2", 0.05, "v0", set_by_operator=True)
    said = table(ServedVersions(rollout, WORKERS, frozenset())).splitlines()
    assert [line.split() for line in said[1:4]] == [
        ["v1", "2", "95.0%"],
        ["v2", "1", "5.0%"],
        ["v0", "0", "0.0%"],
    ]
    assert said[-1] == "before: v0"
