"""The result backend sends a batch of commands in one piece, and reads each response."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis import ConnectionError as RedisConnectionError
from redis import ResponseError
from redis.backoff import NoBackoff
from redis.retry import Retry

from celery_app.app import make_celery
from celery_app.backend import CacheBackend, WholePipeline
from celery_app.settings import Settings
from model.types import Candidate
from tasks.messages import Attribution, Failure
from tasks.results import Attributions


class Connection:
    """A connection that is also its own pool. It packs each command into a separate piece."""

    host, port, db = "here", 1, 0

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.connection_kwargs: dict[str, Any] = {}
        self.sent: list[list[bytes]] = []
        self.retry = Retry(NoBackoff(), 0)
        self.released = self.disconnected = 0

    def get_connection(self) -> Connection:
        return self

    def release(self, connection: Any) -> None:
        self.released += 1

    def disconnect(self) -> None:
        self.disconnected += 1

    def pack_commands(self, commands: list[tuple[Any, ...]]) -> list[bytes]:
        return [repr(command).encode() for command in commands]

    def send_packed_command(self, pieces: list[bytes]) -> None:
        self.sent.append(pieces)

    def read_response(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def executed(connection: Any) -> list[Any]:
    with WholePipeline(connection, {}, False, None) as pipe:
        pipe.set("key", "a long value")
        pipe.publish("key", "a long value")
        return pipe.execute()


def test_a_pipeline_is_sent_as_one_piece() -> None:
    connection = Connection(b"OK", 1)
    assert executed(connection) == [b"OK", 1]
    [[piece]] = connection.sent
    assert piece == b"('SET', 'key', 'a long value')('PUBLISH', 'key', 'a long value')"


def test_a_refused_command_fails_the_batch_and_leaves_no_response_unread() -> None:
    connection = Connection(ResponseError("OOM"), 1)
    with pytest.raises(ResponseError, match="OOM"):
        executed(connection)
    assert connection.answers == []
    assert connection.released == 1


def test_a_lost_connection_fails_the_batch() -> None:
    connection = Connection(b"OK", RedisConnectionError("lost"))
    with pytest.raises(RedisConnectionError, match="lost"):
        executed(connection)
    assert connection.disconnected == 1


def test_a_result_is_written_as_celery_writes_it() -> None:
    app = make_celery(Settings.from_environ({"BYLINE_REDIS_URL": "redis://127.0.0.1:1/0"}))
    backend = CacheBackend(app=app, url="redis://127.0.0.1:1/0")
    known = Attribution("1", "café", 1 / 3, (Candidate("café", 1 / 3),), "v1", cached=True)
    result = Attributions([known, Failure("2", "invalid", "text is empty")])
    meta = backend._get_result_meta(result, "SUCCESS", None, None)
    written = backend.encode(meta)
    assert isinstance(written, str)
    assert json.loads(written) == json.loads(super(CacheBackend, backend).encode(meta))
    assert json.loads(written)["result"][1]["error"]["code"] == "invalid"
