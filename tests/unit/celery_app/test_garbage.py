"""Tests of the garbage collector: it skips objects of the start, and finds new garbage."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from celery_app import garbage


class Node:
    """An object in a reference cycle with itself."""

    def __init__(self) -> None:
        self.me = self


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Undoes the settings after each test, since they hold for the whole process."""
    threshold = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*threshold)


def test_objects_of_the_start_are_frozen_and_garbage_of_the_start_is_not() -> None:
    gc.unfreeze()
    kept, dropped = Node(), Node()
    gone = weakref.ref(dropped)
    del dropped
    garbage.freeze()
    assert gone() is None
    assert gc.get_freeze_count() > 0
    assert not any(each is kept for each in gc.get_objects())


def test_a_process_of_the_api_searches_seldom_and_still_finds_new_garbage() -> None:
    garbage.freeze_and_search_seldom()
    assert gc.get_threshold()[0] == garbage.THRESHOLD
    gone = weakref.ref(Node())
    nodes = [Node() for _ in range(garbage.THRESHOLD + 1)]
    assert gone() is None
    assert nodes
