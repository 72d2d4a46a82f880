"""Fixtures: a stack of real parts that tests share, and a stack for one test that breaks parts."""

from __future__ import annotations

import functools
import logging
import os
import signal
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from httpx._transports import default

from monitoring.instruments.logs import TextLines
from tests import scheduling
from tests.parts import PLAIN, Stack

os.environ.update(PLAIN)  # for the processes that tests start with `make run`
for name in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
    os.environ.pop(name, None)  # under `make test`, a test's own make would print more

# httpx.get reads the certificates of all authorities each time, which takes 22 ms of CPU time.
# A test that asks every 20 ms until a part has started would take half a core from that part.
default.create_ssl_context = functools.cache(default.create_ssl_context)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell makes commands that it starts with `&` ignore Ctrl-C. The processes that tests start
    # and interrupt would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> scheduling.SlowFirst | None:
    """Spreads tests with ``--dist loadfile`` in another order than pytest-xdist does."""
    if config.getoption("dist") != "loadfile":
        return None
    config.option.loadscopereorder = False
    return scheduling.SlowFirst(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # in a process of pytest-xdist
        scheduling.sort(items)


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    """Yields a function that returns the log lines since the test began, with request ids."""
    handler = logging.StreamHandler(written := StringIO())
    handler.setFormatter(TextLines(logging.Formatter("%(message)s")))
    logging.getLogger().addHandler(handler)
    yield written.getvalue
    logging.getLogger().removeHandler(handler)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Yields a running Valkey, worker and api. Tests must not stop or change these parts."""
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
    """Yields a stack with only Valkey. The test may start further parts, and break parts."""
    stack = Stack(tmp_path_factory.mktemp("own"), BYLINE_VISIBILITY_TIMEOUT_S="2")
    try:
        stack.valkey()
        yield stack
    finally:
        stack.close()
