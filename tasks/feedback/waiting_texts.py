"""Stores the texts of attributed messages until clients can no longer send feedback on them.

Feedback has only the id of a message. The text is needed to keep the message for training.
"""

from __future__ import annotations

from collections.abc import Mapping

from redis.client import Pipeline

from tasks.storage.lua_scripts import own_script

#: Prefix of the Redis key of a text that waits for feedback, before the message id.
TEXT = "byline:text:"

_PUT = own_script("put_results")


class WaitingTexts:
    """Writes the texts of attributed messages to Redis. They expire when the attributions do."""

    def __init__(self, ttl_s: int) -> None:
        self._ttl_s = ttl_s

    def put(self, pipe: Pipeline, texts: Mapping[str, str]) -> None:
        """Queues a command on ``pipe`` that stores ``texts``. The caller executes the pipeline.

        ``texts`` maps message ids to texts.
        """
        if texts:
            names = [TEXT + id for id in texts]
            pipe.execute_command("EVAL", _PUT, len(names), *names, self._ttl_s, *texts.values())
