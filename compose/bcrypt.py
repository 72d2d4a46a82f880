"""Computes bcrypt password hashes, the only kind that Prometheus and Alertmanager read.

Python's standard library has no bcrypt since 3.13, and :mod:`compose.passwords` runs before any
package is installed.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Iterator
from itertools import cycle

#: Log2 of the number of rounds; 4 is the smallest number that bcrypt allows. The passwords are
#: random, so a slow hash would add no protection. With so few rounds, plain Python is fast enough.
COST = 4
#: Bytes of a salt.
SALT = 16
#: Maximum number of bytes that a password may have. bcrypt uses 72 bytes: the password, and a zero
#: byte at its end.
LONGEST = 71

#: Mask of a 32-bit word.
_WORD = 0xFFFFFFFF
#: Subkeys of Blowfish.
_SUBKEYS = 18
#: 32-bit words in each of Blowfish's four S-boxes.
_BOX = 256
#: The text that bcrypt encrypts with the password.
_TEXT = b"OrpheanBeholderScryDoubt"
#: The alphabet of bcrypt's own base64.
_DIGITS = "0123456789"
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ALPHABET = str.maketrans(f"{_LETTERS}{_DIGITS}+/", f"./{_LETTERS}{_DIGITS}", "=")


def hashed(password: str, salt: bytes = b"") -> str:
    """Returns the bcrypt hash of a password, a text that begins with ``$2b$04$``.

    ``salt`` has 16 bytes. If ``salt`` is empty, the function makes a random salt.

    Raises:
        ValueError: the password has more than :data:`LONGEST` bytes.
    """
    key = password.encode()
    if len(key) > LONGEST:
        raise ValueError(f"bcrypt ignores what follows the first {LONGEST} bytes of a password")
    salt = salt or secrets.token_bytes(SALT)
    cipher = _Blowfish()
    cipher.expand(key + b"\0", salt)
    for _ in range(2**COST):
        cipher.expand(key + b"\0")
        cipher.expand(salt)
    # By convention, the last of the 24 bytes is left out.
    digest = b"".join(cipher.encrypt_often(_TEXT[at : at + 8]) for at in range(0, 24, 8))[:23]
    return f"$2b${COST:02}${_base64(salt)}{_base64(digest)}"


class _Blowfish:
    """The Blowfish cipher.

    At first, the cipher's tables hold the digits of pi. Keys and salts change the tables.
    """

    def __init__(self) -> None:
        words = _pi(_SUBKEYS + 4 * _BOX)
        self._subkeys = words[:_SUBKEYS]
        self._boxes = [words[at : at + _BOX] for at in range(_SUBKEYS, len(words), _BOX)]

    def expand(self, key: bytes, salt: bytes = b"\0") -> None:
        """Mixes ``key`` and ``salt`` into the cipher's tables. The default salt has no effect."""
        words, mixed = _words(key), _words(salt)
        self._subkeys = [subkey ^ next(words) for subkey in self._subkeys]
        left = right = 0
        for table in (self._subkeys, *self._boxes):
            for at in range(0, len(table), 2):
                left, right = self._encrypt(left ^ next(mixed), right ^ next(mixed))
                table[at : at + 2] = left, right

    def encrypt_often(self, block: bytes) -> bytes:
        """Returns ``block``, which has eight bytes, encrypted 64 times."""
        left, right = int.from_bytes(block[:4]), int.from_bytes(block[4:])
        for _ in range(64):
            left, right = self._encrypt(left, right)
        return left.to_bytes(4) + right.to_bytes(4)

    def _encrypt(self, left: int, right: int) -> tuple[int, int]:
        first, second, third, fourth = self._boxes
        *subkeys, before_last, last = self._subkeys
        for subkey in subkeys:
            left ^= subkey
            mixed = (first[left >> 24] + second[left >> 16 & 255]) ^ third[left >> 8 & 255]
            left, right = right ^ (mixed + fourth[left & 255] & _WORD), left
        return right ^ last, left ^ before_last


def _words(data: bytes) -> Iterator[int]:
    """Repeats ``data`` without end, and yields it as 32-bit words."""
    for four in zip(*[cycle(data)] * 4, strict=True):
        yield int.from_bytes(bytes(four))


def _pi(words: int) -> list[int]:
    """Returns the first ``words`` 32-bit words of pi's fractional part, by Machin's formula."""
    spare = 64  # extra bits for the rounding errors of all divisions
    one = 1 << 32 * words + spare
    fraction = (4 * (4 * _arctan(5, one) - _arctan(239, one)) - 3 * one) >> spare
    return [fraction >> 32 * (words - 1 - at) & _WORD for at in range(words)]


def _arctan(inverse: int, one: int) -> int:
    """Returns the arc tangent of ``1 / inverse``, as a whole number in units of ``1 / one``."""
    term = total = one // inverse
    divisor = 1
    while term:
        term //= -inverse * inverse
        divisor += 2
        total += term // divisor
    return total


def _base64(data: bytes) -> str:
    return b64encode(data).decode().translate(_ALPHABET)
