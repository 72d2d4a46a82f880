"""Stacks of real parts: one that tests share, and one of its own for a test that breaks things."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from tests.parts import PLAIN, Stack

os.environ.update(PLAIN)  # for what tests start by `make run`

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # What a shell starts with `&` ignores Ctrl-C, and so would what tests start to interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Valkey, a worker with the test model, and the api. For tests that leave them be."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    try:
        stack.valkey()
        stack.worker()
        stack.api()
        yield stack
    finally:
        stack.close()


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Return a stack with nothing but Valkey, to start the rest in, and to break."""
    stack = Stack(tmp_path_factory.mktemp("own"), BYLINE_VISIBILITY_TIMEOUT_S="2")
    try:
        stack.valkey()
        yield stack
    finally:
        stack.close()
