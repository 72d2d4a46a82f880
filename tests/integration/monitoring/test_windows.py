"""Counts in slices of a window, in a real Valkey."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from monitoring.state.windows import Window, versions
from tests.parts import Stack


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("windows"))
    try:
        stack.valkey()
        yield stack
    finally:
        stack.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def add(stack: Stack, window: Window, version: str = "one", **counts: int) -> None:
    with stack.redis.pipeline() as pipe:
        window.add(pipe, version, counts)
        pipe.execute()


def test_counts_of_several_processes_are_added_up_within_the_window(
    stack: Stack, clock: Clock
) -> None:
    stack.redis.flushall()
    first, second = Window("answers", 60, clock), Window("answers", 60, clock)
    add(stack, first, messages=2, right=1)
    add(stack, second, messages=3)
    clock.time += 30
    add(stack, first, messages=10)
    assert second.read(stack.redis, "one") == {"messages": 15, "right": 1}
    clock.time += 31
    assert second.read(stack.redis, "one") == {"messages": 10}
    clock.time += 60
    assert second.read(stack.redis, "one") == {}


def test_versions_kinds_and_lengths_are_counted_separately(stack: Stack, clock: Clock) -> None:
    stack.redis.flushall()
    add(stack, Window("answers", 60, clock), "one", messages=1)
    add(stack, Window("answers", 60, clock), "two", messages=2)
    add(stack, Window("labels", 60, clock), "one", messages=4)
    add(stack, Window("answers", 600, clock), "one", messages=8)
    assert Window("answers", 60, clock).read(stack.redis, "one") == {"messages": 1}
    assert Window("answers", 60, clock).read(stack.redis, "two") == {"messages": 2}


def test_every_slice_expires(stack: Stack) -> None:
    stack.redis.flushall()
    add(stack, Window("answers", 60), messages=1)
    [key] = stack.redis.keys("byline:quality:answers:*")
    assert 60 < stack.redis.ttl(key) <= 64


def test_versions_are_known_for_as_long_as_they_are_counted(stack: Stack) -> None:
    stack.redis.flushall()
    add(stack, Window("answers", 60), "old", messages=1)
    add(stack, Window("answers", 60), "new", messages=1)
    assert versions(stack.redis, 60) == ["new", "old"]
    assert versions(stack.redis, -1) == []
