"""The api's metrics page adds up all api processes, also after a process has died."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.parts import Stack, needs_accelerator, wait_for

ROUTE = ("byline_requests_total", "/v1/attributions", "200")
START = ("process_start_time_seconds",)
RESIDENT = ("process_resident_memory_bytes",)
MB = 2**20
ODD = ("GET /nowhere", "GET /v1/attributions/x/y", "PUT /v1/feedback", "DELETE /", "GET /..%2f/v1")


def metrics(stack: Stack) -> dict[tuple[Any, ...], float]:
    """Returns the present values of the metrics page, by name and values of the labels."""
    url = f"http://127.0.0.1:{stack.env['BYLINE_API_METRICS_PORT']}/metrics"
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(httpx.get(url, timeout=5).text)
        for sample in family.samples
    }


def ask(stack: Stack, number: int) -> None:
    """Sends each message on a new connection, so that each process gets some messages."""
    for each in range(number):
        assert stack.attribute({"text": f"aeiou {each}"}).status_code == 200


def test_metrics_add_up_the_processes_and_survive_a_killed_process(own: Stack) -> None:
    own.worker()
    api = own.api(BYLINE_API_PROCESSES="2")
    wait_for(lambda: metrics(own).get(("byline_credits",)) == 4, 20, "both processes")
    ask(own, 40)
    wait_for(lambda: metrics(own).get(ROUTE) == 40, 5, "all requests to be counted")
    # Each process answers for both processes.
    assert {metrics(own)[ROUTE] for _ in range(20)} == {40}

    started = metrics(own)[START]
    assert time.time() - 60 < started < time.time()

    # The monitor uses this value where it can't see the processes themselves.
    told = wait_for(lambda: metrics(own).get(RESIDENT), 5, "what they take to be told")
    assert 2 * 20 * MB < told < 2 * 500 * MB

    serving = [p for p in psutil.Process(api.process.pid).children() if _listens(p, own)]
    assert len(serving) == 2
    os.kill(serving[0].pid, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(serving[0].pid) or _gone(serving[0]), 10, "its end")
    # If the parent has just pinged the killed process, the parent waits 20 seconds (READY_S) for
    # the response before it starts another process.
    wait_for(lambda: len(_serving(api.process.pid, own)) == 2, 45, "another process")
    wait_for(lambda: metrics(own).get(("byline_credits",)) == 4, 20, "only the living to count")
    # The start time shows restarts that a supervisor hides.
    assert metrics(own)[START] > started
    ask(own, 10)
    wait_for(lambda: metrics(own).get(ROUTE) == 50, 5, "what the dead had counted to be kept")


@needs_accelerator
def test_a_new_process_that_is_slow_to_start_does_not_end_a_rolling_restart(own: Stack) -> None:
    api = own.api(BYLINE_API_PROCESSES="2")
    parent = psutil.Process(api.process.pid)
    wait_for(lambda: len(_serving(parent.pid, own)) == 2, 20, "both processes")
    old, before = set(_serving(parent.pid, own)), set(parent.children())
    os.kill(parent.pid, signal.SIGHUP)
    [new] = wait_for(lambda: set(parent.children()) - before, 20, "a new process")
    new.suspend()
    time.sleep(6)  # a slow start on a busy machine: longer than uvicorn's own limit
    new.resume()
    wait_for(lambda: not old & set(_serving(parent.pid, own)), 40, "the old processes to go")
    wait_for(lambda: len(_serving(parent.pid, own)) == 2, 20, "both new ones")


def test_odd_requests_add_no_series(stack: Stack) -> None:
    for request in ODD * 3:
        method, path = request.split()
        httpx.request(method, stack.url + path, timeout=5)
    for number in range(30):
        httpx.get(f"{stack.url}/odd/{number}?{number}", timeout=5)
        httpx.request(f"ODD{number}", f"{stack.url}/v1/attributions/{number:032x}", timeout=5)

    def counted() -> bool:
        return metrics(stack).get(("byline_requests_total", "other", "404"), 0) >= 30

    wait_for(counted, 5, "the requests to be counted")
    routes = {key[1] for key in metrics(stack) if key[0] == "byline_requests_total"}
    assert routes <= {
        *("/v1/attributions", "/v1/attributions/{id}", "/v1/feedback", "/v1/figures"),
        *("/v1/models", "/healthz", "/readyz", "/", "other"),
    }


@pytest.mark.parametrize("processes", ["1", "2"])
def test_a_second_api_on_the_same_metrics_port_ends(
    stack: Stack, own: Stack, processes: str
) -> None:
    port = stack.env["BYLINE_API_METRICS_PORT"]
    second = own.start_api(BYLINE_API_METRICS_PORT=port, BYLINE_API_PROCESSES=processes)
    assert second.process.wait(20) == 2
    assert "BYLINE_API_METRICS_PORT can't be used" in second.output
    assert "Traceback" not in second.output


def _serving(parent: int, stack: Stack) -> list[psutil.Process]:
    return [p for p in psutil.Process(parent).children() if _listens(p, stack)]


def _listens(process: psutil.Process, stack: Stack) -> bool:
    port = int(stack.env["BYLINE_API_METRICS_PORT"])
    try:
        return any(c.laddr and c.laddr.port == port for c in process.net_connections("tcp"))
    except psutil.Error:
        return False


def _gone(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
