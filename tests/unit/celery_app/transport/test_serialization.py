"""Tasks and bodies are read as kombu reads them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.utils import json as kombu_json

from celery_app.transport import serialization
from celery_app.transport.serialization import JSON, Message, read


@pytest.mark.parametrize(
    "value",
    [
        [
            [["a text", "\U0001f600 and \u00e4", 'quotes " and \\', "\u0000"]],
            {"explain": True},
            None,
        ],
        {"deadlines": [1.5, None, 1e300, -0.0, 0.1], "n": [0, -1, 2**63, -(2**63), 2**64]},
        {"when": datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), "raw": b"\xff", "text": "x"},
        [float("inf"), float("-inf")],
        ["half of a pair: \ud800"],
        {"__type__": "no type of kombu's", "with": "another key"},
        "",
        {},
    ],
)
def test_json_that_kombu_wrote_is_read_as_kombu_reads_it(value: object) -> None:
    raw = kombu_json.dumps(value).encode()
    assert read(raw) == kombu_json.loads(raw)


@pytest.mark.parametrize("raw", [b"", b"{", b'{"a": 0x10}', b"\xff\xfe", b"[" * 100_000])
def test_bytes_that_kombu_cannot_read_are_refused(raw: bytes) -> None:
    with pytest.raises((ValueError, RecursionError)):
        read(raw)


def test_an_ordinary_task_is_read_without_kombu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(serialization, "loads")
    assert read(json.dumps([[["text"]], {}, {"chain": None}]).encode()) == [
        [["text"]],
        {},
        {"chain": None},
    ]


def message(body: str, kind: str = JSON, accept: Any = (JSON,)) -> Message:
    channel: Any = SimpleNamespace(decode_body=lambda body, encoding: body)
    payload = {
        "body": body,
        "content-type": kind,
        "content-encoding": "utf-8",
        "headers": {},
        "properties": {"delivery_tag": "tag", "delivery_info": {}},
    }
    message = Message(payload, channel)
    message.accept = accept and set(accept)
    return message


def test_a_json_body_is_decoded() -> None:
    assert message('[["a"], {}, null]').payload == [["a"], {}, None]


@pytest.mark.parametrize("body", ["{", "[" * 100_000, "[0x10]"])
def test_a_body_that_is_no_json_raises_kombus_error(body: str) -> None:
    broken = message(body)
    with pytest.raises(DecodeError):
        _ = broken.payload


@pytest.mark.parametrize("kind", [JSON, "application/x-python-serialize"])
def test_a_content_type_that_is_not_accepted_is_refused(kind: str) -> None:
    refused = message('["a"]', kind, accept=("application/x-yaml",))
    with pytest.raises(ContentDisallowed):
        _ = refused.payload
