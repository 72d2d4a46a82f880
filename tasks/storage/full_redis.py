"""A Redis whose memory is full takes what empties it all the same.

It refuses every command that may need memory: to take a task, to store its answer, to note that a
worker is alive. So a queue that fills it could never be emptied. Redis 7 and Valkey run a script
that says ``allow-oom`` whatever memory there is: what was refused is sent again as such a script.
An older Redis refuses it for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis import Redis, ResponseError, WatchError
from redis.client import Pipeline
from redis.exceptions import OutOfMemoryError

from tasks.storage.lua_scripts import own_script

_ALLOW = "#!lua flags=allow-oom\n"
_RUN = _ALLOW + own_script("run_command")
#: What an older Redis says of such a script.
_UNKNOWN = "compiling script"
#: A command that waits, and that in a script would return at once.
_WAITS = "BLMOVE"
#: The scripts that a library has registered, by the hash that it calls them by.
_registered: dict[str, str] = {}


def allowed(command: Sequence[Any]) -> tuple[Any, ...]:
    """Return a command that does the same, and that a Redis without memory to spare takes."""
    name, *arguments = command
    if name not in ("EVAL", "EVALSHA"):
        return ("EVAL", _RUN, 0, *command)
    script, *arguments = arguments
    text = script if name == "EVAL" else _registered.get(script)
    return tuple(command) if text is None else ("EVAL", _ALLOW + text, *arguments)


def is_full(error: object) -> bool:
    """Return whether a command failed because Redis has no memory left."""
    told = isinstance(error, ResponseError) and str(error).startswith("OOM")
    return told or isinstance(error, OutOfMemoryError)


class Client(Redis):
    """A client that sends again what was refused, but for a command that waits."""

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
                raise _first(refused, error) from None

    def register_script(self, script: Any) -> Any:
        """Register a script, whose text is kept."""
        registered = super().register_script(script)
        _registered[registered.sha] = script
        return registered

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        """Return a pipeline that does so, too."""
        return PersistentPipeline(
            self.connection_pool, self.response_callbacks, transaction, shard_hint
        )


class PersistentPipeline(Pipeline):
    """Sends again what was refused."""

    #: Was a transaction refused?
    _full = False

    def _execute_pipeline(self, connection: Any, commands: Any, raise_on_error: bool) -> list[Any]:
        answers = self._answers(connection, commands)
        if any(isinstance(answer, OutOfMemoryError) for answer in answers):
            self._send_again(connection, commands, answers)
        if raise_on_error:
            self.raise_first_error(commands, answers)
        return answers

    def _answers(self, connection: Any, commands: Any) -> list[Any]:
        """Send the commands; return the answer or the error of each."""
        return super()._execute_pipeline(connection, commands, False)

    def _send_again(self, connection: Any, commands: Any, answers: list[Any]) -> None:
        """Put the new answers in the place of the old.

        What stands behind a refused command and found nothing is sent again as well: it may have
        been about what that one was to write, such as its time to live.
        """
        full = [isinstance(answer, OutOfMemoryError) for answer in answers]
        behind = range(full.index(True), len(answers))
        places = [place for place in behind if full[place] or not answers[place]]
        again = self._answers(connection, [(allowed(commands[p][0]), {}) for p in places])
        for place, answer in zip(places, again, strict=True):
            answers[place] = _first(answers[place], answer)

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
            if watches:  # Redis watches no longer: whoever looked first must look again
                raise WatchError("Redis has no memory left") from None
            return self._execute_transaction(connection, commands, raise_on_error)


def _first(refused: Any, second: Any) -> Any:
    """Return the second answer, or the first where Redis knows no such scripts."""
    return refused if isinstance(second, ResponseError) and _UNKNOWN in str(second) else second
