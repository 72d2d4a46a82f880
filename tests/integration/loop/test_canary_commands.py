"""`make canary`, `make promote` and `make back`: one command each, and one line for each error."""

from __future__ import annotations

import httpx
import pytest

from tasks.rollout import Rollout, WorkerRegistry
from tests.integration.loop.making import made, make
from tests.parts import Stack, free_port, wait_for

OLD, NEW = "vowels-1", "vowels-2"


def rollout(stack: Stack) -> Rollout | None:
    return WorkerRegistry(stack.redis).look().rollout


def test_a_version_becomes_canary_is_promoted_and_goes_back(own: Stack) -> None:
    own.worker(name="old")
    own.worker(name="next", BYLINE_MODEL="tests.models:NextVowels")
    own.api()
    made(own, "canary", f"VERSION={NEW}")
    assert rollout(own) == Rollout(OLD, NEW, 0.05, set_by_operator=True)
    made(own, "canary", f"VERSION={NEW}", "SHARE=12.5")
    assert rollout(own) == Rollout(OLD, NEW, 0.125, set_by_operator=True)
    promoted = made(own, "promote")
    assert [line.split() for line in promoted.splitlines()[1:3]] == [
        [NEW, "1", "100.0%"],
        [OLD, "1", "0.0%"],
    ]
    wait_for(lambda: served(own) == [NEW], what="the api to know")
    made(own, "back")
    wait_for(lambda: served(own) == [OLD], what="the api to know again")


def served(stack: Stack) -> list[str]:
    """Returns the versions that get all new messages: one, or none while there is a canary."""
    known = httpx.get(f"{stack.url}/v1/models", timeout=5).json()
    return [each["version"] for each in known["versions"] if each["share"] == 1]


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("canary",), "byline: name the version: make canary VERSION=… SHARE=5"),
        (("canary", "VERSION=vowels-7"), "byline: no worker serves vowels-7; alive: vowels-1"),
        (("canary", f"VERSION={OLD}"), "byline: vowels-1 is served: name the other version"),
        (("canary", f"VERSION={NEW}", "SHARE=100"), "byline: a share is a number from 0 to less"),
        (("canary", f"VERSION={NEW}", "SHARE=-5"), "byline: a share is a number from 0 to less"),
        (("canary", f"VERSION={NEW}", "SHARE=all"), "byline: 'all%' is no share: write a number"),
        (("promote",), "byline: no version is a canary: first run make canary VERSION=… SHARE=5"),
        (("back",), "byline: nothing was served before vowels-1"),
    ],
    ids=" ".join,
)
def test_an_impossible_command_changes_nothing_and_says_why_in_one_line(
    stack: Stack, words: tuple[str, ...], error: str
) -> None:
    before = rollout(stack)
    done = make(stack, *words)
    said, *rest = done.stderr.splitlines()
    assert said.startswith(error)
    assert [line for line in rest if not line.startswith("make: ")] == []
    assert (done.returncode, done.stdout, rollout(stack)) == (2, "", before)


@pytest.mark.parametrize("words", [("canary", f"VERSION={NEW}"), ("promote",), ("back",)])
def test_a_command_without_redis_says_what_to_do(stack: Stack, words: tuple[str, ...]) -> None:
    done = make(stack, *words, BYLINE_REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    said, *_ = done.stderr.splitlines()
    assert said.startswith("byline: Redis can't be reached: ")
    assert said.endswith(": start Byline, or set BYLINE_REDIS_URL to its Redis")
    assert done.returncode == 2


def test_commands_ask_the_valkey_of_make_run_if_no_redis_is_set(stack: Stack) -> None:
    done = make(stack, "promote", BYLINE_REDIS_URL="", BYLINE_REDIS_PORT=str(stack.redis_port))
    assert done.stderr.startswith("byline: no version is a canary")
