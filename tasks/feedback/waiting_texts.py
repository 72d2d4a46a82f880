"""Stores the texts of attributed messages until clients can no longer send feedback on them.

Feedback names a message by its id only, so that without these texts nothing could be kept.
"""

from __future__ import annotations

from collections.abc import Mapping

from redis.client import Pipeline

from tasks.storage.lua_scripts import own_script

#: Prefix of the Redis key of a text that waits for feedback, before the message id.
TEXT = "byline:text:"

_PUT = own_script("put_results")


class WaitingTexts:
    """Writes the texts of attributed messages to Redis, with the time to live of attributions."""

    def __init__(self, ttl_s: int) -> None:
        self._ttl_s = ttl_s

    def put(self, pipe: Pipeline, texts: Mapping[str, str]) -> None:
        """Queues a command on ``pipe`` that stores ``texts``, which are by message id.

        The caller executes the pipeline.
        """
        if texts:
            names = [TEXT + id for id in texts]
            pipe.execute_command("EVAL", _PUT, len(names), *names, self._ttl_s, *texts.values())
