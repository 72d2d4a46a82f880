"""API keys in real processes: which requests are allowed, and how many a second."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from tests.parts import Stack, wait_for


def line(name: str, rate: str = "") -> str:
    """Returns the line of the key file for a key that is equal to its name."""
    return f"{name} sha256:{sha256(name.encode()).hexdigest()} {rate}\n"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("guarded")
    file = folder / "keys.txt"
    file.write_text(
        line("slow", "4") + line("idle", "4") + line("debtor", "4") + line("free") + line("revoked")
    )
    stack = Stack(folder, BYLINE_KEYS_FILE=str(file))
    try:
        stack.valkey()
        stack.worker()
        stack.api(BYLINE_API_PROCESSES="2")
        yield stack
    finally:
        stack.close()


def ask(own: Stack, key: str | None, body: object) -> httpx.Response:
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.post(f"{own.url}/v1/attributions", json=body, headers=headers, timeout=20)


def test_requests_without_a_valid_key_are_refused(guarded: Stack) -> None:
    for key in (None, "wrong"):
        refused = ask(guarded, key, {"text": "hello"})
        assert (refused.status_code, refused.json()["code"]) == (401, "unauthorized")
        assert refused.headers["WWW-Authenticate"] == "Bearer"
    for path in ("/v1/models", "/v1/attributions/" + "0" * 32):
        assert httpx.get(guarded.url + path).status_code == 401
    for path in ("//v1/models", "/%76%31/models", "/v1//models", "/./v1/models"):
        assert httpx.get(guarded.url + path).status_code == 401, path
    assert httpx.get(f"{guarded.url}/healthz").status_code == 200
    for path in ("/", "/console/main.js", "/readyz", "/openapi.json", "/docs"):
        assert httpx.get(guarded.url + path).status_code == 200, path
    page = httpx.get(f"{guarded.url}/docs").text
    parts = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(parts) == 6
    for path in parts:
        assert httpx.get(guarded.url + path).status_code == 200, path
    # The api refuses before it reads the body, so the body may have any size.
    assert ask(guarded, None, {"text": "x" * 5_000_000}).status_code == 401


def test_requests_with_a_valid_key_are_answered(guarded: Stack) -> None:
    assert ask(guarded, "free", {"text": "hello"}).status_code == 200
    headers = {"Authorization": "Bearer free"}
    assert httpx.get(f"{guarded.url}/v1/models", headers=headers).status_code == 200


def test_an_invalid_body_counts_for_its_key_by_its_size(guarded: Stack) -> None:
    body = {"text": 5, "more": "x" * 3_000_000}
    assert ask(guarded, "debtor", body).status_code == 422
    assert ask(guarded, "debtor", {"text": "hello"}).status_code == 429
    assert ask(guarded, "debtor", {"text": 5}).status_code == 429
    assert ask(guarded, "free", body).status_code == 422
    assert ask(guarded, "free", {"text": "hello"}).status_code == 200


def test_a_key_is_limited_to_its_rate_of_messages(guarded: Stack) -> None:
    started = time.monotonic()
    # All at once: one after the other could take so long on a busy machine that none is refused.
    texts = [{"text": f"message {n}"} for n in range(20)]
    with ThreadPoolExecutor(len(texts)) as pool:
        answers = list(pool.map(lambda body: ask(guarded, "slow", body), texts))
    seconds = time.monotonic() - started
    let_through = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert len(let_through) + len(refused) == 20
    assert 4 <= len(let_through) <= 4 + 4 * seconds + 1  # a burst of 4, then 4 a second
    assert {answer.json()["code"] for answer in refused} == {"rate_limited"}
    assert {int(answer.headers["Retry-After"]) for answer in refused} == {1}
    many = ask(guarded, "slow", {"messages": [{"text": f"bulk {n}"} for n in range(12)]})
    assert many.status_code == 429  # each message counts
    assert ask(guarded, "free", {"text": "another key"}).status_code == 200


def test_a_revoked_key_is_refused_without_a_restart_and_a_bad_file_changes_nothing(
    guarded: Stack,
) -> None:
    file, api = Path(guarded.env["BYLINE_KEYS_FILE"]), guarded.parts[-1]
    everything = file.read_text()

    def statuses(key: str) -> set[int]:
        """Returns the statuses of 8 requests on new connections, which reach either process."""
        return {ask(guarded, key, {"text": "hello"}).status_code for _ in range(8)}

    assert statuses("revoked") == {200}
    file.write_text(everything.replace(line("revoked"), line("new")))
    wait_for(lambda: statuses("revoked") == {401} and statuses("new") == {200}, what="the change")
    file.write_text(line("free") + line("hushhush", "0.0"))
    wait_for(lambda: api.output.count("stay in force") == 2, what="both processes to say so")
    assert "line 2" in api.output
    assert "hushhush" not in api.output
    assert statuses("new") == {200}
    assert httpx.get(f"{guarded.url}/readyz", timeout=10).status_code == 200
    metrics = f"http://127.0.0.1:{guarded.env['BYLINE_API_METRICS_PORT']}/metrics"
    assert "byline_requests_total" in httpx.get(metrics, timeout=10).text
    file.write_text(everything)
    wait_for(lambda: statuses("revoked") == {200}, what="the file that is good again")


def test_a_missing_key_file_ends_the_start_with_the_reason(own: Stack, tmp_path: Path) -> None:
    own.env["BYLINE_KEYS_FILE"] = str(tmp_path / "none")
    part = own.start_api()
    assert part.process.wait(20) == 2
    assert "can't be read" in part.output
    assert "Traceback" not in part.output
