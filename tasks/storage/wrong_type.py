"""Keys of Redis that hold another type than Byline keeps there: a string for a list, say.

Each command on such a key fails, for ever, and with it whatever else needs the key. Whoever meets
one makes way for what Byline keeps there: it deletes the key. What another application may have
written, under a name without Byline's prefix, is renamed to ``byline:wrong_type:…`` instead.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from redis import Redis, ResponseError

from monitoring.instruments.log_once import log_once
from tasks.storage.lua_scripts import own_script

logger = logging.getLogger(__name__)

_DELETE = own_script("delete_wrong_types", "make_way")


def is_wrong_type(error: object) -> bool:
    """Return whether a command failed because its key holds another type."""
    return isinstance(error, ResponseError) and "WRONGTYPE" in str(error)


def without_wrong_types(answers: Sequence[Any]) -> list[Any]:
    """Return the answers of a pipeline, None for each command whose key holds another type.

    Raises:
        redis.RedisError: a command failed for another reason.
    """
    for answer in answers:
        if isinstance(answer, Exception) and not is_wrong_type(answer):
            raise answer
    if any(map(is_wrong_type, answers)):
        log_once(logger, logging.WARNING, "a key holds another type than it should")
    return [None if is_wrong_type(answer) else answer for answer in answers]


def get(client: Redis, key: str) -> bytes | None:
    """Return the string under a key; None: nothing, or something else, is there.

    Raises ``redis.RedisError``.
    """
    found: Any = client.mget([key])
    value: bytes | None = found[0]
    return value


def delete_wrong_types(client: Redis, types: Mapping[str, str]) -> bool:
    """Delete those of the keys that hold another type than ``types`` says. Returns whether any did.

    Raises ``redis.RedisError``.
    """
    deleted: Any = client.eval(_DELETE, len(types), *types, *types.values())
    if deleted:
        log_once(logger, logging.WARNING, "keys that held another type were deleted")
    return bool(deleted)
