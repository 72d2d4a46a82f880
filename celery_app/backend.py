"""The result backend, which is the cache: Celery's own, with writes that can share a round trip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
from celery import states
from celery.backends.redis import RedisBackend
from redis import ResponseError
from redis.client import Pipeline

from tasks.results import Attributions
from tasks.storage.full_redis import Client, PersistentPipeline
from tasks.storage.wrong_type import is_wrong_type

_encode = msgspec.json.Encoder().encode


class WholePipeline(PersistentPipeline):
    """Sends all commands in one piece. What one key holds of another type fails no other command.

    A command's option ``then`` is called with its answer, once there are all.

    redis-py makes a piece of each long command: a batch would be four, and at each the thread lets
    go of the interpreter, and Redis reads half of what there is.
    """

    def _execute_pipeline(self, connection: Any, commands: Any, raise_on_error: bool) -> list[Any]:
        answers = super()._execute_pipeline(connection, commands, raise_on_error)
        for (_, options), answer in zip(commands, answers, strict=True):
            if then := options.get("then"):
                then(answer)
        return answers

    def _answers(self, connection: Any, commands: Sequence[Any]) -> list[Any]:
        packed = connection.pack_commands([arguments for arguments, _ in commands])
        connection.send_packed_command([b"".join(packed)])
        return [_answer(connection) for _ in commands]  # all of them, whatever the first says

    def raise_first_error(self, commands: Any, answers: Sequence[Any]) -> None:
        """Raise the first error, other than that a key holds another type."""
        super().raise_first_error(commands, [None if is_wrong_type(a) else a for a in answers])


def _answer(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


class CacheBackend(RedisBackend):
    """Celery's Redis backend. Within :meth:`round_trip` results are gathered, not sent.

    Celery keeps one instance a thread, so a round trip is seen by its own thread alone.
    """

    _pipe: Pipeline | None = None

    def _get_client(self) -> type[Client]:
        return Client

    @contextmanager
    def round_trip(self) -> Iterator[Pipeline]:
        """Gather the results stored within, and what else is queued on the pipeline yielded.

        All is sent at the end, in order, in one round trip; nothing where the block raises.

        Raises:
            redis.RedisError: Redis refused a command or can't be reached.
        """
        with WholePipeline(self.client.connection_pool, {}, False, None) as pipe:
            self._pipe = pipe
            try:
                yield pipe
            finally:
                self._pipe = None
            pipe.execute()

    def _store_result(
        self,
        task_id: str,
        result: Any,
        state: str,
        traceback: str | None = None,
        request: Any = None,
        **kwargs: Any,
    ) -> Any:
        # Celery first asks whether a success is stored already, a round trip a task. A success
        # written over a success changes nothing, so within a round trip it is not asked.
        if self._pipe is None or state != states.SUCCESS:
            return super()._store_result(task_id, result, state, traceback, request, **kwargs)
        meta = self._get_result_meta(result, state, traceback, request)
        meta["task_id"] = task_id
        self.set(self.get_key_for_task(task_id), self.encode(meta))
        return result

    def encode(self, data: Any) -> Any:
        """Return what is stored. A large task's result would keep other tasks waiting for long."""
        if isinstance(data, dict) and isinstance(data.get("result"), Attributions):
            try:
                return _encode({**data, "result": data["result"].encodable}).decode()
            except (TypeError, ValueError):
                pass  # half of a surrogate pair in a client's own id, for instance
        return super().encode(data)

    def _set(self, key: Any, value: Any, expires: int | None = None) -> None:
        if self._pipe is None:
            super()._set(key, value, expires)
            return
        self._pipe.set(key, value, ex=(self.expires if expires is None else expires) or None)
        self._pipe.publish(key, value)
