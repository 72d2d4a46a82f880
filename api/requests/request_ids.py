"""Chooses the id of a request: the client's ``X-Request-ID``, or a new id."""

from __future__ import annotations

import random

from monitoring.instruments.request_ids import is_valid

#: The header of requests and responses that holds the id.
REQUEST_ID = "X-Request-ID"


def request_id_of(header: str | None) -> str:
    """Returns the header ``X-Request-ID`` of a request if it is a valid id; otherwise a new id.

    A valid id has 1 to 128 ASCII letters, digits or ``. _ -``. A new id has 16 hexadecimal digits.
    """
    if header is not None and is_valid(header):
        return header
    # Each message carries the id, so it is short. os.urandom would be a system call each time.
    return f"{random.getrandbits(64):016x}"
