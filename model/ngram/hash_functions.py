"""The hash functions of the n-gram features. All of them compute modulo 2**32."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

#: Base of the polynomial hash of characters: Knuth's golden ratio. The base is odd, so multiplying
#: by it modulo 2**32 loses no information.
CHARACTER_BASE = np.uint32(0x9E3779B1)
#: Base of the polynomial hash of tokens: the prime of FNV. This base is odd, too.
TOKEN_BASE = np.uint32(0x01000193)
#: The character base's multiplicative inverse modulo 2**32.
CHARACTER_INVERSE = np.uint32(pow(0x9E3779B1, -1, 1 << 32))
#: Number of powers of a base that are kept in memory: enough for a batch of about 250 messages.
KEPT_POWERS = 1 << 16


def mix(hashes: NDArray[np.uint32]) -> None:
    """Mixes the bits of each hash in place, so that every bit changes the high bits.

    This is the finaliser of MurmurHash3, shortened.
    """
    hashes *= np.uint32(0x85EBCA6B)
    hashes ^= hashes >> np.uint32(15)
    hashes *= np.uint32(0xC2B2AE35)


def powers(base: np.uint32, number: int) -> NDArray[np.uint32]:
    """Returns the first ``number`` powers of ``base``, modulo 2**32: 1, base, base**2 and so on."""
    return _kept_powers(base)[:number] if number <= KEPT_POWERS else _new_powers(base, number)


@cache
def _kept_powers(base: np.uint32) -> NDArray[np.uint32]:
    return _new_powers(base, KEPT_POWERS)


def _new_powers(base: np.uint32, number: int) -> NDArray[np.uint32]:
    powers = np.full(number, base, np.uint32)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint32)
