"""Stacks of real parts: one that tests share, and one of its own for a test that breaks things."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from io import StringIO

import pytest

from monitoring.instruments.logs import TextLines
from tests.parts import PLAIN, Stack

os.environ.update(PLAIN)  # for what tests start by `make run`

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # What a shell starts with `&` ignores Ctrl-C, and so would what tests start to interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    """What was logged since, as text: the messages, and the requests that they name."""
    handler = logging.StreamHandler(written := StringIO())
    handler.setFormatter(TextLines(logging.Formatter("%(message)s")))
    logging.getLogger().addHandler(handler)
    yield written.getvalue
    logging.getLogger().removeHandler(handler)


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
