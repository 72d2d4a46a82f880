"""The api without the accelerator, under gunicorn as `python -m api` starts it."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from bench.system.usage import tree
from tests.parts import Part, Stack, wait_for

SIZE = 10_000_000


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("plain"), BYLINE_ACCELERATOR="off")
    try:
        stack.valkey()
        stack.worker()
        stack.api(BYLINE_API_PROCESSES="2")
        yield stack
    finally:
        stack.close()


@pytest.fixture
def api(plain: Stack) -> Part:
    return plain.parts[-1]


CACHED = 'byline_messages_total{outcome="cached"} '
ANSWERED = 'byline_requests_total{route="/v1/attributions",status="200"} '


def counted(stack: Stack, name: str = ANSWERED) -> float:
    """Returns the sum over all processes; by default of the requests answered with 200."""
    url = f"http://127.0.0.1:{stack.env['BYLINE_API_METRICS_PORT']}/metrics"
    lines = httpx.get(url, timeout=10).text.splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


def test_processes_are_replaced_by_sighup_and_their_counts_kept(plain: Stack, api: Part) -> None:
    for number in range(20):
        assert plain.attribute({"text": f"before {number}"}).status_code == 200
    wait_for(lambda: counted(plain, "byline_credits ") == 2, what="both to be counted")
    before = set(tree(api.process.pid)) - {api.process.pid}
    assert len(before) == 2
    os.kill(api.process.pid, signal.SIGHUP)
    wait_for(lambda: not before & set(tree(api.process.pid)), 60, "both processes to go")
    for number in range(20):
        assert plain.attribute({"text": f"after {number}"}).status_code == 200
    wait_for(lambda: counted(plain) == 40, what="all requests to be counted")
    for number in range(20):  # in the local cache of one of the new processes, or in Redis
        assert plain.attribute({"text": f"after {number}"}).status_code == 200
    before = set(tree(api.process.pid)) - {api.process.pid}
    os.kill(api.process.pid, signal.SIGHUP)
    wait_for(lambda: not before & set(tree(api.process.pid)), 60, "both processes to go")
    assert counted(plain, CACHED) == 20
    wait_for(lambda: counted(plain, "byline_credits ") == 2, what="the old to be gone")


def test_a_client_that_sends_a_large_body_before_it_reads_gets_the_error(plain: Stack) -> None:
    place = ("127.0.0.1", int(plain.env["BYLINE_API_PORT"]))
    head = f"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {SIZE}\r\n\r\n"
    with socket.create_connection(place, 20) as client:
        client.sendall(f"POST /v1/attributions HTTP/1.1\r\n{head}".encode())
        client.sendall(b" " * SIZE)
        answer = client.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_connection_is_usable_after_a_too_large_body_of_unknown_length(
    plain: Stack,
) -> None:
    headers = {"Content-Type": "application/json"}
    with httpx.Client(base_url=plain.url, timeout=40) as client:
        for number in range(5):
            pieces = iter([b" " * 1_000_000] * 6)
            refused = client.post("/v1/attributions", content=pieces, headers=headers)
            assert refused.status_code == 413
            answer = client.post("/v1/attributions", json={"text": f"behind it {number}"})
            assert answer.status_code == 200


def test_a_client_that_sends_to_an_unknown_path_before_it_reads_gets_the_error(
    plain: Stack,
) -> None:
    place = ("127.0.0.1", int(plain.env["BYLINE_API_PORT"]))
    head = f"Host: 127.0.0.1\r\nContent-Length: {SIZE}\r\n\r\n"
    with socket.create_connection(place, 20) as client:
        client.sendall(f"POST /v1/nowhere HTTP/1.1\r\n{head}".encode())
        client.sendall(b" " * SIZE)
        assert client.recv(65_536).startswith(b"HTTP/1.1 404 ")


def test_a_malformed_chunk_gets_status_400(plain: Stack) -> None:
    place = ("127.0.0.1", int(plain.env["BYLINE_API_PORT"]))
    head = "Host: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
    with socket.create_connection(place, 20) as client:
        client.sendall(f"POST /v1/attributions HTTP/1.1\r\n{head}\r\n\r\nzz\r\n".encode())
        assert client.recv(65_536).startswith(b"HTTP/1.1 400 ")


def test_health_is_answered_while_all_other_threads_wait(own: Stack) -> None:
    own.worker(TEST_MODEL_SECONDS="4")
    own.api(BYLINE_ACCELERATOR="off", BYLINE_API_THREADS="8")
    id = own.attribute({"text": "slow"}, wait=0).json()["id"]
    with ThreadPoolExecutor(16) as pool:
        for _ in range(16):
            pool.submit(httpx.get, f"{own.url}/v1/attributions/{id}?wait=20", timeout=40)
        for _ in range(10):
            assert httpx.get(f"{own.url}/healthz", timeout=2).status_code == 200


def test_no_line_is_logged_for_a_request(plain: Stack, api: Part) -> None:
    assert plain.attribute({"text": "unlogged"}, explain="false").status_code == 200
    assert "explain" not in api.output
    assert "GET /" not in api.output


def test_bytes_that_are_not_http_are_refused_and_other_requests_answered(plain: Stack) -> None:
    place = ("127.0.0.1", int(plain.env["BYLINE_API_PORT"]))
    with socket.create_connection(place, 20) as client:
        client.sendall(b"garbage\r\n\r\n")
        assert client.recv(65_536).startswith(b"HTTP/1.1 400 ")
    assert plain.attribute({"text": "beside garbage"}).status_code == 200


def test_the_api_ends_without_an_error(own: Stack) -> None:
    own.worker()
    api = own.api(BYLINE_ACCELERATOR="off")
    assert own.attribute({"text": "the last"}).status_code == 200
    assert api.stop() == 0
    assert "Traceback" not in api.output


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can pin a process")
@pytest.mark.parametrize(("pinned", "cpus"), [("on", 1), ("off", len(os.sched_getaffinity(0)))])
def test_each_process_runs_on_one_cpu_unless_pinning_is_off(
    own: Stack, pinned: str, cpus: int
) -> None:
    api = own.api(BYLINE_ACCELERATOR="off", BYLINE_API_PROCESSES="2", BYLINE_API_PINNED=pinned)

    def processes() -> set[int]:
        return set(tree(api.process.pid)) - {api.process.pid}

    wait_for(lambda: len(processes()) == 2, what="both processes")
    assert [len(os.sched_getaffinity(pid)) for pid in processes()] == [cpus, cpus]
    if pinned == "on" and len(os.sched_getaffinity(0)) > 1:
        first, second = (os.sched_getaffinity(pid) for pid in processes())
        assert first != second
