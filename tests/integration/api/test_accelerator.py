"""Requests that the accelerator answers without Flask, with a real server, queue and worker."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.parts import Stack, needs_accelerator

pytestmark = needs_accelerator
#: Number of requests: more than there are threads for views.
MANY = 64


@pytest.mark.parametrize("ending", ["", "/"])
def test_health_is_answered_while_many_requests_wait(own: Stack, ending: str) -> None:
    own.worker(TEST_MODEL_SECONDS="4")
    own.api()
    id = own.attribute({"text": "slow"}, wait=0).json()["id"]
    with ThreadPoolExecutor(MANY) as pool:
        for _ in range(MANY):
            url = f"{own.url}/v1/attributions/{id}{ending}?wait=20"
            pool.submit(httpx.get, url, timeout=40)
        for _ in range(10):
            assert httpx.get(f"{own.url}/healthz", timeout=2).status_code == 200
            assert httpx.get(f"{own.url}/openapi.json", timeout=2).status_code == 200


def test_health_is_answered_while_redis_hangs(own: Stack) -> None:
    valkey = own.parts[0]
    own.api()
    os.kill(valkey.process.pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(MANY) as pool:
            for _ in range(MANY):
                pool.submit(httpx.get, f"{own.url}/v1/figures", timeout=60)
            for _ in range(10):
                assert httpx.get(f"{own.url}/healthz", timeout=2).status_code == 200
    finally:
        os.kill(valkey.process.pid, signal.SIGCONT)


def test_header_names_with_underscores_do_not_replace_names_with_hyphens(stack: Stack) -> None:
    own = {"X-Request-ID": "good", "X_Request_ID": "evil", "Content_Encoding": "gzip"}
    answer = httpx.post(f"{stack.url}/v1/feedback", json={}, headers=own)
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (422, "good")
