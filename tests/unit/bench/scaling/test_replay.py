"""Tests of recorded commands: parsed from MONITOR's output, and packed for the replay."""

from __future__ import annotations

from typing import Any

import pytest

from bench.scaling.replay import pack, parse, stored
from model.types import Candidate
from tasks.messages import Attribution
from tasks.storage.result_cache import AttributionCache

FROM = b"+1700000000.123456 [0 127.0.0.1:40000] "


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (rb'"GET" "key"', [b"GET", b"key"]),
        (rb'"SET" "k" "a \"quoted\" \\ word"', [b"SET", b"k", rb'a "quoted" \ word']),
        (rb'"SET" "k" "caf\xc3\xa9\r\n\t\x00"', [b"SET", b"k", "café\r\n\t\0".encode()]),
        (rb'"LPUSH" "k" ""', [b"LPUSH", b"k", b""]),
        (rb'"brpop" "replies" "5"', [b"RPOP", b"replies"]),
        (rb'"BLMOVE" "q" "q" "RIGHT" "RIGHT" "1"', [b"LMOVE", b"q", b"q", b"RIGHT", b"RIGHT"]),
    ],
)
def test_a_command_is_read_as_it_was_sent(shown: bytes, words: list[bytes]) -> None:
    assert parse(FROM + shown) == words


@pytest.mark.parametrize(
    "line",
    [
        b'+1700000000.123456 [0 lua] "LINDEX" "key" "0"',
        FROM + b'"INFO" "cpu"',
        FROM + b'"client" "setinfo" "LIB-NAME" "redis-py"',
        b"+OK",
        b"",
    ],
)
def test_commands_that_can_not_be_replayed_are_left_out(line: bytes) -> None:
    assert parse(line) == []


def test_commands_are_packed_in_redis_protocol() -> None:
    packed = pack([[b"SET", b"k", "é".encode()], [b"PING"]])
    assert packed == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2\r\n\xc3\xa9\r\n*1\r\n$4\r\nPING\r\n"


class Pipe:
    """A pipeline that keeps its commands."""

    def __init__(self) -> None:
        self.commands: list[list[bytes]] = []

    def execute_command(self, *words: Any) -> None:
        self.commands.append([w if isinstance(w, bytes) else str(w).encode() for w in words])


def test_stored_attributions_are_counted_as_messages() -> None:
    client: Any = None
    pipe: Any = Pipe()
    cache = AttributionCache(client, ttl_s=60)
    named = (Candidate("Ada", 0.5),)
    cache.put(pipe, [Attribution(id * 32, "Ada", 0.5, named, "v1") for id in "abc"])
    pipe.execute_command("DEL", "d" * 32)
    assert [stored(command) for command in pipe.commands] == [3, 0]
    assert stored([b"MGET", b"byline:result:1f"]) == 0
