"""Handles Redis keys that hold a wrong type, such as a string where Byline stores a list.

Commands on such a key always fail, so Byline deletes the key. A key without Byline's prefix may
belong to another application, so Byline does not delete it, but renames it to
``byline:wrong_type:…``.
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
    """Returns whether an error means that a key in Redis holds a wrong type."""
    return isinstance(error, ResponseError) and "WRONGTYPE" in str(error)


def without_wrong_types(responses: Sequence[Any]) -> list[Any]:
    """Returns a pipeline's responses, with None in the place of errors about keys of a wrong type.

    Raises:
        redis.RedisError: a command failed for another reason.
    """
    for response in responses:
        if isinstance(response, Exception) and not is_wrong_type(response):
            raise response
    if any(map(is_wrong_type, responses)):
        log_once(logger, logging.WARNING, "a key in Redis holds a wrong type")
    return [None if is_wrong_type(response) else response for response in responses]


def get(client: Redis, key: str) -> bytes | None:
    """Returns the string that a Redis key holds; None if the key is absent or holds another type.

    Raises ``redis.RedisError``.
    """
    found: Any = client.mget([key])
    value: bytes | None = found[0]
    return value


def delete_wrong_types(client: Redis, types: Mapping[str, str]) -> bool:
    """Deletes or renames the keys that hold a wrong type. Returns whether there was such a key.

    ``types`` maps keys to the right type, such as ``list``. Raises ``redis.RedisError``.
    """
    deleted: Any = client.eval(_DELETE, len(types), *types, *types.values())
    if deleted:
        log_once(logger, logging.WARNING, "keys in Redis that held a wrong type were deleted")
    return bool(deleted)
