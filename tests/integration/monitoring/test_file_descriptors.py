"""A process without free file descriptors recovers once some are free, and so do its metrics."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx
import psutil
import pytest

from tests.parts import Part, Stack, free_port, needs_accelerator, wait_for

#: Descriptors that a process may open after it has started.
FREE = 30
#: Seconds without a descriptor. The metrics are checked twice a second, the servers once.
WITHOUT_S = 2.0


@contextmanager
def no_descriptors(part: Part, port: int) -> Iterator[None]:
    """Connects until the process has no descriptor left. Closes the connections at the end."""
    process = psutil.Process(part.process.pid)
    limit = process.num_fds() + FREE
    process.rlimit(psutil.RLIMIT_NOFILE, (limit, process.rlimit(psutil.RLIMIT_NOFILE)[1]))
    with ExitStack() as connections:

        def connected() -> bool:
            connection = connections.enter_context(socket.socket())
            connection.settimeout(0.1)
            with suppress(TimeoutError):  # the connection waits in the backlog
                connection.connect(("127.0.0.1", port))
            return process.num_fds() >= limit

        wait_for(connected, 20, "the descriptors to be used up")
        yield


@needs_accelerator
def test_an_api_without_descriptors_recovers_with_its_metrics(own: Stack) -> None:
    own.worker()
    api = own.api()
    with no_descriptors(api, int(own.env["BYLINE_API_PORT"])):
        time.sleep(WITHOUT_S)  # so that each check of the api meets the lack
    wait_for(lambda: answers(int(own.env["BYLINE_API_METRICS_PORT"])), 10, "the metrics")
    wait_for(lambda: own.attribute({"text": "aeiou"}).status_code == 200, 10, "an answer")


def start_worker(own: Stack, port: int) -> Part:
    return own.worker(BYLINE_METRICS_PORT=str(port))


def start_monitor(own: Stack, port: int) -> Part:
    return own.monitor(BYLINE_MONITOR_PORT=str(port))


@pytest.mark.parametrize("start", [start_worker, start_monitor])
def test_metrics_recover_and_take_little_cpu_time_meanwhile(
    own: Stack, start: Callable[[Stack, int], Part]
) -> None:
    port = free_port()
    part = start(own, port)
    process = psutil.Process(part.process.pid)
    with no_descriptors(part, port):
        before = sum(process.cpu_times()[:2])
        time.sleep(WITHOUT_S)  # a loop without a pause would take a whole core
        took = sum(process.cpu_times()[:2]) - before
    assert took < WITHOUT_S / 4
    wait_for(lambda: answers(port), 10, "the metrics")
    assert part.alive


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=1).status_code == 200
    except httpx.TransportError:
        return False
