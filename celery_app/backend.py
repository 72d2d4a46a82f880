"""Celery's result backend for Redis, which stores the results of a batch in one round trip."""

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
    """A Redis pipeline that passes all its commands to the socket in one call.

    If the key of one command holds a value of a wrong type, the pipeline raises no error. A command
    may have the option ``then``: a function that is called with the command's response, after all
    responses are read.
    """

    def _execute_pipeline(self, connection: Any, commands: Any, raise_on_error: bool) -> list[Any]:
        responses = super()._execute_pipeline(connection, commands, raise_on_error)
        for (_, options), response in zip(commands, responses, strict=True):
            if then := options.get("then"):
                then(response)
        return responses

    def _send_all(self, connection: Any, commands: Sequence[Any]) -> list[Any]:
        # redis-py makes a separate call for each long command: four calls for a batch. At each
        # call, the thread releases the interpreter lock, and Redis gets only a part of the batch.
        packed = connection.pack_commands([arguments for arguments, _ in commands])
        connection.send_packed_command([b"".join(packed)])
        return [_response(connection) for _ in commands]  # reads each response, also after an error

    def raise_first_error(self, commands: Any, responses: Sequence[Any]) -> None:
        """Raises the first error among the responses, except errors about keys of a wrong type."""
        super().raise_first_error(commands, [None if is_wrong_type(r) else r for r in responses])


def _response(connection: Any) -> Any:
    try:
        return connection.read_response()
    except ResponseError as error:
        return error


class CacheBackend(RedisBackend):
    """Celery's Redis backend. Results stored within :meth:`round_trip` are sent together.

    Celery makes one instance for each thread, so one thread's round trip does not affect other
    threads.
    """

    _pipe: Pipeline | None = None

    def _get_client(self) -> type[Client]:
        return Client

    @contextmanager
    def round_trip(self) -> Iterator[Pipeline]:
        """Yields a pipeline, and sends its commands in one round trip after the ``with`` block.

        Celery's results that the block stores go into the same pipeline. If the block raises an
        error, nothing is sent.

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
        # Celery first asks Redis whether a success is stored already: a round trip for each task. A
        # success written over a success changes nothing, so this method does not ask.
        if self._pipe is None or state != states.SUCCESS:
            return super()._store_result(task_id, result, state, traceback, request, **kwargs)
        meta = self._get_result_meta(result, state, traceback, request)
        meta["task_id"] = task_id
        self.set(self.get_key_for_task(task_id), self.encode(meta))
        return result

    def encode(self, data: Any) -> Any:
        """Returns the text in which Celery stores ``data``: the result and the state of a task.

        Encodes Byline's results with msgspec, because the module json is slow for a large task.
        """
        if isinstance(data, dict) and isinstance(data.get("result"), Attributions):
            try:
                return _encode({**data, "result": data["result"].encodable}).decode()
            except (TypeError, ValueError):
                pass  # a client's own task id may hold half of a surrogate pair
        return super().encode(data)

    def _set(self, key: Any, value: Any, expires: int | None = None) -> None:
        if self._pipe is None:
            super()._set(key, value, expires)
            return
        self._pipe.set(key, value, ex=(self.expires if expires is None else expires) or None)
        self._pipe.publish(key, value)
