"""How much is fuzzed, and the stack that it is done to.

``FUZZ_REQUESTS`` says how many requests are sent in all, about a fifth of them by Schemathesis.
Without ``--hypothesis-seed`` each run sends the same ones: a test that fails must fail again.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.configuration import set_hypothesis_home_dir

from tests.fuzz.judge import sent
from tests.fuzz.raw import Client
from tests.parts import ACCELERATED, Stack, wait_for

#: Bytes that are no HTTP are the accelerator's to answer.
collect_ignore = [] if ACCELERATED else ["test_bodies.py", "test_heads.py"]
#: Small limits, so that what is generated exceeds them every now and then.
LIMITS = {
    "BYLINE_MAX_BODY_BYTES": "20000",
    "BYLINE_MAX_CHARACTERS": "200",
    "BYLINE_MAX_BULK": "8",
    "BYLINE_WAIT_MAX_S": "10",
    # What the requests have in Host; odd ones have other names as well.
    "BYLINE_HOSTS": "byline,last,whole",
}
#: What no log may hold, whatever was asked.
TRACEBACK = "Traceback (most recent call last)"


def pytest_configure(config: pytest.Config) -> None:
    seeded = config.getoption("--hypothesis-seed") is not None
    settings.register_profile(
        "fuzz",
        database=None,
        deadline=None,
        derandomize=not seeded,
        print_blob=True,
        # Tried again to be made smaller, not to be explained: each try is a request.
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    settings.load_profile("fuzz")
    if config.cache is not None:  # tables of Unicode, which would be kept in the work tree
        set_hypothesis_home_dir(config.cache.mkdir("hypothesis"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if sent:
        statuses = ", ".join(f"{status} {count:,}" for status, count in sorted(sent.items()))
        terminalreporter.write_line(f"fuzzed requests: {sum(sent.values()):,} ({statuses})")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of the module's own; at the end nothing of it has died, or says that it failed."""
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
    """A client of the stack's api that says whatever it is told to."""
    client = Client(int(stack.env["BYLINE_API_PORT"]))
    yield client
    client.close()
