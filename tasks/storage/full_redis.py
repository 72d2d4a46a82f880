"""A Redis client whose commands also work while the memory of Redis is full.

A refused command is sent again within a script with the flag ``allow-oom``, which needs Redis 7 or
Valkey. Otherwise workers could never empty a queue that fills Redis.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis, ResponseError, WatchError
from redis.client import Pipeline
from redis.exceptions import OutOfMemoryError

from tasks.storage.lua_scripts import own_script

#: Flag with which Redis 7 and Valkey run a script even when they are full. Without the flag, a full
#: Redis refuses every command that may need memory: taking a task, storing its result, registering
#: a worker.
_ALLOW = "#!lua flags=allow-oom\n"
_RUN = _ALLOW + own_script("run_command")
#: Part of the error with which an older Redis refuses a script with the flag ``allow-oom``.
_UNKNOWN = "compiling script"
#: A command that waits. In a script, this command would return at once.
_WAITS = "BLMOVE"
#: Scripts that a library has registered, by the hash that EVALSHA takes.
_registered: dict[str, str] = {}


def allowed(command: Sequence[Any]) -> tuple[Any, ...]:
    """Returns a command that has the same effect as ``command``, and that a full Redis accepts."""
    name, *arguments = command
    if name not in ("EVAL", "EVALSHA"):
        return ("EVAL", _RUN, 0, *command)
    script, *arguments = arguments
    text = script if name == "EVAL" else _registered.get(script)
    return tuple(command) if text is None else ("EVAL", _ALLOW + text, *arguments)


def is_full(error: object) -> bool:
    """Returns whether an error means that Redis has no memory left."""
    from_script = isinstance(error, ResponseError) and str(error).startswith("OOM")
    return from_script or isinstance(error, OutOfMemoryError)


class Client(Redis):
    """A Redis client that repeats a command as a script if a full Redis has refused the command.

    The blocking command BLMOVE is not sent again, because it can't wait in a script.
    """

    def _send_command_parse_response(
        self, conn: Any, command_name: str, *args: Any, **options: Any
    ) -> Any:
        send = super()._send_command_parse_response
        try:
            return send(conn, command_name, *args, **options)
        except OutOfMemoryError as refused:
            if command_name == _WAITS:
                raise
            try:
                return send(conn, command_name, *allowed(args), **options)
            except ResponseError as error:
                raise _final_response(refused, error) from None

    def register_script(self, script: Any) -> Any:
        """Registers a script and keeps its text, in case a full Redis refuses the script."""
        registered = super().register_script(script)
        _registered[registered.sha] = script
        return registered

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """Returns a pipeline that repeats, as scripts, commands that a full Redis has refused."""
        return PersistentPipeline(
            self.connection_pool, self.response_callbacks, transaction, shard_hint
        )


class PersistentPipeline(Pipeline):
    """A pipeline that repeats, as scripts, commands that a full Redis has refused."""

    #: Whether Redis has refused a transaction. If so, the next attempt sends scripts.
    _full = False

    def _execute_pipeline(self, connection: Any, commands: Any, raise_on_error: bool) -> list[Any]:
        responses = self._send_all(connection, commands)
        if any(isinstance(response, OutOfMemoryError) for response in responses):
            self._send_again(connection, commands, responses)
        if raise_on_error:
            self.raise_first_error(commands, responses)
        return responses

    def _send_all(self, connection: Any, commands: Any) -> list[Any]:
        """Sends the commands. Returns a response or an error for each command."""
        return super()._execute_pipeline(connection, commands, False)

    def _send_again(self, connection: Any, commands: Any, responses: list[Any]) -> None:
        """Sends the refused commands again, and replaces their ``responses`` in the list.

        Also sends again each later command whose response is 0 or empty.
        """
        refused = [isinstance(response, OutOfMemoryError) for response in responses]
        following = range(refused.index(True), len(responses))
        # A command with response 0 or empty may need a key that a refused command did not write,
        # for example to set the key's time to live.
        indices = [i for i in following if refused[i] or not responses[i]]
        again = self._send_all(connection, [(allowed(commands[i][0]), {}) for i in indices])
        for i, response in zip(indices, again, strict=True):
            responses[i] = _final_response(responses[i], response)

    def _execute_transaction(
        self, connection: Any, commands: Any, raise_on_error: bool
    ) -> list[Any]:
        given = [(allowed(args), {}) for args, _ in commands] if self._full else commands
        watches = self.watching
        try:
            return super()._execute_transaction(connection, given, raise_on_error)
        except OutOfMemoryError:
            if self._full:
                raise
            self._full = True
            if watches:  # Redis no longer watches the keys, so the caller must read again
                raise WatchError("Redis has no memory left") from None
            return self._execute_transaction(connection, commands, raise_on_error)


def _final_response(first: Any, second: Any) -> Any:
    """Returns the response that the caller of a repeated command gets.

    ``first`` is the response to the command itself, and ``second`` the response to the script that
    repeated the command. Each may be an error. Returns ``second``, unless Redis does not know the
    flag ``allow-oom`` and so could not run the script.
    """
    return first if isinstance(second, ResponseError) and _UNKNOWN in str(second) else second
