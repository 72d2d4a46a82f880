"""Chooses the id of a request: the client's ``X-Request-ID``, or a new id."""

from __future__ import annotations

import random

from monitoring.instruments.request_ids import is_valid

#: The header of requests and responses that holds the id.
REQUEST_ID = "X-Request-ID"
#: Bits of a new id. The id is short because each message carries it through the queue. With 64
#: bits, the probability that two of a billion requests share an id is 3 %.
NEW_BITS = 64


def request_id_of(header: str | None) -> str:
    """Returns the header ``X-Request-ID`` of a request if it is a valid id; otherwise a new id.

    The id goes into headers, log lines and the queue. So a valid id has 1 to 128 characters, all of
    them ASCII letters, digits or ``. _ -``. A new id has 16 hexadecimal digits.
    """
    if header is not None and is_valid(header):
        return header
    # The id is no secret. os.urandom, a system call, would take 5 % of a request's CPU time.
    return f"{random.getrandbits(NEW_BITS):016x}"
