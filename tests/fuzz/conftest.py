"""Fixtures of the fuzz tests: the number of requests, and the stack that receives them.

``FUZZ_REQUESTS`` is the number of all requests; Schemathesis sends about a fifth of them. Without
``--hypothesis-seed`` each run sends the same requests, so that a failing test fails again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.configuration import set_hypothesis_home_dir

from tests.fuzz.judge import sent
from tests.fuzz.raw import Client
from tests.parts import ACCELERATED, Stack, wait_for

#: These tests send bytes that are not HTTP, to which only the accelerator must respond well.
collect_ignore = [] if ACCELERATED else ["test_bodies.py", "test_heads.py"]
#: Small limits, so that some generated requests exceed them.
LIMITS = {
    "BYLINE_MAX_BODY_BYTES": "20000",
    "BYLINE_MAX_CHARACTERS": "200",
    "BYLINE_MAX_BULK": "8",
    "BYLINE_WAIT_MAX_S": "10",
    # The names in the Host header of the requests. Odd requests may have other names.
    "BYLINE_HOSTS": "byline,last,whole",
}
#: Text that no log may contain.
TRACEBACK = "Traceback (most recent call last)"


def pytest_configure(config: pytest.Config) -> None:
    seeded = config.getoption("--hypothesis-seed") is not None
    settings.register_profile(
        "fuzz",
        database=None,
        deadline=None,
        derandomize=not seeded,
        print_blob=True,
        # A failing example is shrunk, but not explained: each try costs a request.
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    settings.load_profile("fuzz")
    if config.cache is not None:  # otherwise Hypothesis keeps its Unicode tables in the work tree
        set_hypothesis_home_dir(config.cache.mkdir("hypothesis"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # in a process of pytest-xdist
        session.config.workeroutput["fuzzed"] = dict(sent)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Adds what a process of pytest-xdist has sent."""
    sent.update(getattr(node, "workeroutput", {}).get("fuzzed", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if sent:
        statuses = ", ".join(f"{status} {count:,}" for status, count in sorted(sent.items()))
        terminalreporter.write_line(f"fuzzed requests: {sum(sent.values()):,} ({statuses})")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for one module. At the end, each process must be alive, with no traceback logged."""
    stack = Stack(tmp_path_factory.mktemp("fuzz"), **LIMITS)
    try:
        stack.valkey()
        stack.worker()
        stack.api()
        yield stack
        wait_for(lambda: stack.held() == 0, what="the worker to be through with it")
        assert stack.attribute({"text": "still here"}).status_code == 200
        for part in stack.parts:
            assert part.alive, part.output[-5_000:]
            where = part.output.find(TRACEBACK)
            assert where < 0, part.output[max(0, where - 1_000) : where + 4_000]
    finally:
        stack.close()


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    """A client of the stack's api that can send any bytes."""
    client = Client(int(stack.env["BYLINE_API_PORT"]))
    yield client
    client.close()
