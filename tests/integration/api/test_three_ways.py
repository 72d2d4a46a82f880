"""The accelerator, gunicorn and Flask alone give the same answers to a corpus of requests.

Each line of ``corpus/requests.jsonl`` has a request, and the status and the error code of its
answer; some have the error's text, ``detail``. A body is a string, or a list of texts, each with
the number of its repetitions.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.integration.ways import WAYS, Http, opened
from tests.parts import Stack

FOLDER = Path(__file__).parent / "corpus"
REQUESTS = [json.loads(line) for line in (FOLDER / "requests.jsonl").read_text().splitlines()]
#: Headers that depend on the server or on the time.
OF_THE_SERVER = {"connection", "date", "keep-alive", "server"}


class Answered(NamedTuple):
    """The parts of an answer that must be the same in all three ways to serve the api."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def body_of(recorded: dict[str, Any]) -> bytes | None:
    body = recorded.get("body")
    if isinstance(body, list):
        body = "".join(text * times for text, times in body)
    return None if body is None else body.encode("utf-8", "surrogatepass")


def ask(client: Http, recorded: dict[str, Any]) -> Answered:
    request = client.build_request(
        recorded["method"],
        recorded["path"],
        content=body_of(recorded),
        headers=recorded["headers"],
    )
    response = client.send(request)
    port = str(client.base_url.port)
    request_id = response.headers.pop("X-Request-ID")
    assert request_id == recorded["headers"].get("X-Request-ID", request_id)
    assert re.fullmatch("[0-9a-f]{16}|mine-1", request_id)
    headers = sorted(
        (name.lower(), value)
        for name, value in response.headers.items()
        if name.lower() not in OF_THE_SERVER
    )
    return Answered(
        response.status_code, headers, response.content.replace(b":" + port.encode(), b":PORT")
    )


@pytest.fixture(scope="module")
def answered(stack: Stack) -> dict[str, list[Answered]]:
    """Returns the answers to all requests, by way. Each way begins with an empty cache."""
    found = {}
    for way in WAYS:
        for kind in ("result", "feedback"):
            for key in stack.redis.scan_iter(f"byline:{kind}:*"):
                stack.redis.delete(key)
        with opened(way, stack) as client:
            found[way] = [ask(client, recorded) for recorded in REQUESTS]
    return found


def code_of(answer: Answered) -> str | None:
    if dict(answer.headers).get("content-type") != "application/problem+json":
        return None
    return str(json.loads(answer.body)["code"]) if answer.body else None


def test_the_corpus_is_large_and_odd() -> None:
    assert len(REQUESTS) >= 300
    assert sum(recorded["status"] >= 400 for recorded in REQUESTS) > 100
    assert len({recorded["code"] for recorded in REQUESTS}) > 10


@pytest.mark.parametrize("way", WAYS)
def test_each_request_is_answered_as_recorded(
    answered: dict[str, list[Answered]], way: str
) -> None:
    found = [
        (recorded["method"], recorded["path"], answer.status, code_of(answer))
        for recorded, answer in zip(REQUESTS, answered[way], strict=True)
    ]
    wanted = [(r["method"], r["path"], r["status"], r["code"]) for r in REQUESTS]
    assert [pair for pair in zip(found, wanted, strict=True) if pair[0] != pair[1]] == []


@pytest.mark.parametrize("way", WAYS)
def test_error_texts_are_as_recorded(answered: dict[str, list[Answered]], way: str) -> None:
    found = [
        (recorded["path"], json.loads(answer.body)["detail"], recorded["detail"])
        for recorded, answer in zip(REQUESTS, answered[way], strict=True)
        if "detail" in recorded
    ]
    assert found
    assert [each for each in found if each[1] != each[2]] == []


@pytest.mark.parametrize("way", WAYS[1:])
def test_status_headers_and_body_are_the_same_each_way(
    answered: dict[str, list[Answered]], way: str
) -> None:
    different = [
        (recorded["method"], recorded["path"], recorded["headers"], fast, plain)
        for recorded, fast, plain in zip(REQUESTS, answered[WAYS[0]], answered[way], strict=True)
        if fast != plain
    ]
    assert different == []
