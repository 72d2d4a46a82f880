"""The id of a request: the client's own, or a new one."""

from __future__ import annotations

import os

from monitoring.instruments.request_ids import is_valid

#: The header that a request comes with, and its answer goes with.
REQUEST_ID = "X-Request-ID"
#: Bytes of a new id. Each message carries its id through the queue, so it is short: of 8 bytes, two
#: of a billion requests have the same one with a probability of 3 %.
NEW_BYTES = 8


def request_id_of(given: str | None) -> str:
    """Returns the id of a request that came with ``given`` as its ``X-Request-ID``.

    That one is taken over if it has 1 to 128 characters, each an ASCII letter, a digit, or one of
    ``. _ -``: it goes into headers, log lines and the queue. Any other is replaced by a new id, 16
    hexadecimal digits.
    """
    if given is not None and is_valid(given):
        return given
    return os.urandom(NEW_BYTES).hex()
