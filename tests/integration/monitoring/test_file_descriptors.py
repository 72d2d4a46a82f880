"""Processes that have no file descriptor left for a moment go on afterwards, with all of theirs."""

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
#: Seconds without any: the metrics are looked after twice a second, the servers once.
WITHOUT_S = 2.0


@contextmanager
def no_descriptors(part: Part, port: int) -> Iterator[None]:
    """Connect to the port until the process has none left; close all at the end."""
    process = psutil.Process(part.process.pid)
    limit = process.num_fds() + FREE
    process.rlimit(psutil.RLIMIT_NOFILE, (limit, process.rlimit(psutil.RLIMIT_NOFILE)[1]))
    with ExitStack() as connections:

        def connected() -> bool:
            connection = connections.enter_context(socket.socket())
            connection.settimeout(0.1)
            with suppress(TimeoutError):  # it waits in the backlog
                connection.connect(("127.0.0.1", port))
            return process.num_fds() >= limit

        wait_for(connected, 20, "the descriptors to be used up")
        yield


@needs_accelerator
def test_an_api_without_descriptors_recovers_with_its_metrics(own: Stack) -> None:
    own.worker()
    api = own.api()
    with no_descriptors(api, int(own.env["BYLINE_API_PORT"])):
        time.sleep(WITHOUT_S)  # whatever looks after something must meet it
    wait_for(lambda: answers(int(own.env["BYLINE_API_METRICS_PORT"])), 10, "the metrics")
    wait_for(lambda: own.attribute({"text": "aeiou"}).status_code == 200, 10, "an answer")


def start_worker(own: Stack, port: int) -> Part:
    return own.worker(BYLINE_METRICS_PORT=str(port))


def start_monitor(own: Stack, port: int) -> Part:
    return own.monitor(BYLINE_MONITOR_PORT=str(port))


@pytest.mark.parametrize("start", [start_worker, start_monitor])
def test_metrics_recover_and_take_no_time_meanwhile(
    own: Stack, start: Callable[[Stack, int], Part]
) -> None:
    port = free_port()
    part = start(own, port)
    process = psutil.Process(part.process.pid)
    with no_descriptors(part, port):
        before = sum(process.cpu_times()[:2])
        time.sleep(WITHOUT_S)  # in which a loop without a pause would take all of a core
        took = sum(process.cpu_times()[:2]) - before
    assert took < WITHOUT_S / 4
    wait_for(lambda: answers(port), 10, "the metrics")
    assert part.alive


def answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=1).status_code == 200
    except httpx.TransportError:
        return False
