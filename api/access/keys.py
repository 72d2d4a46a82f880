"""Reads the file of API keys, and makes new keys.

A line of the file is ``name sha256:<64 hex digits> [messages a second]``. ``#`` starts a comment.
Make a key with ``python -m api.access.keys mobile-app 50 >> keys.txt``.
"""

from __future__ import annotations

import argparse
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

from celery_app.settings import SettingsError

#: First characters of a key, so that people and secret scanners recognise keys.
PREFIX = "byline_"
#: Lowest rate, in messages a second: the rate limiter counts in thousandths.
LOWEST_RATE = Decimal("0.001")
#: Highest rate, in messages a second: above it, the rate limiter's numbers would not be exact.
HIGHEST_RATE = Decimal(1_000_000)
_LINE = re.compile(r"([\w.-]+)\s+sha256:([0-9a-f]{64})(?:\s+(\S+))?")
_RATE = re.compile(r"[0-9]+(?:\.[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A client's name, the SHA-256 hash of the client's API key, and the rate limit of the key."""

    name: str
    digest: bytes
    #: Messages a second, a multiple of 0.001; ``None``: no limit.
    rate: Decimal | None

    def __str__(self) -> str:
        """Returns the key as a line of the keys file."""
        rate = "" if self.rate is None else f" {self.rate}"
        return f"{self.name} sha256:{self.digest.hex()}{rate}"


def parse_line(line: str) -> ApiKey | None:
    """Returns the key that a line of the file describes; ``None`` for a comment or an empty line.

    Raises:
        ValueError: the line is invalid. The error quotes neither the line nor the hash.
    """
    entry = line.partition("#")[0].strip()
    if not entry:
        return None
    found = _LINE.fullmatch(entry)
    if found is None:
        raise ValueError("not 'name sha256:<hash> [rate]'; a name has only letters, digits, . _ -")
    name, digest, rate = found.groups()
    return ApiKey(name, bytes.fromhex(digest), None if rate is None else _parse_rate(rate))


def _parse_rate(text: str) -> Decimal:
    rate = Decimal(text) if _RATE.fullmatch(text) else Decimal(0)
    if not LOWEST_RATE <= rate <= HIGHEST_RATE:
        raise ValueError(
            f"the rate must be a number of messages a second from {LOWEST_RATE} to "
            f"{HIGHEST_RATE}, with at most three decimals; without a rate there is no limit"
        )
    return rate


class Keys:
    """All API keys of the keys file."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = keys

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Reads the keys file.

        Raises:
            SettingsError: the file can't be read, or a line is invalid. The error quotes no line.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise SettingsError(f"BYLINE_KEYS_FILE={path} can't be read: {error}") from None
        except UnicodeDecodeError:  # the text of this error quotes a byte
            raise SettingsError(f"BYLINE_KEYS_FILE={path} can't be read: not UTF-8") from None
        names: dict[str, int] = {}
        digests: dict[bytes, int] = {}
        keys = []
        for number, line in enumerate(lines, 1):
            try:
                key = parse_line(line)
                if key is None:
                    continue
                _check_unique("name", number, names.setdefault(key.name, number))
                _check_unique("hash", number, digests.setdefault(key.digest, number))
            except ValueError as error:
                raise SettingsError(f"{path}, line {number}: {error}") from None
            keys.append(key)
        if not keys:
            raise SettingsError(f"BYLINE_KEYS_FILE={path} has no key, so nobody could use the api")
        return cls(keys)

    def find(self, authorization: str) -> ApiKey | None:
        """Returns the key in an ``Authorization`` header; ``None`` if the file has no such key."""
        scheme, _, token = authorization.partition(" ")
        digest = sha256(token.strip().encode("utf-8", "surrogatepass")).digest()
        found = None
        for key in self._keys:  # no early return: the time must reveal nothing about the keys
            if compare_digest(key.digest, digest):
                found = key
        return found if scheme.lower() == "bearer" else None


def _check_unique(what: str, number: int, first: int) -> None:
    if number != first:
        raise ValueError(f"line {first} has the same {what}; each key needs its own")


def main(arguments: Sequence[str]) -> int:
    """Makes a new key. Prints the key on stderr, and the key's line for the keys file on stdout."""
    parser = argparse.ArgumentParser(
        prog="python -m api.access.keys",
        description="Make an API key. Append the output to the file of keys.",
    )
    parser.add_argument("name", help="name of the client: letters, digits, . _ -")
    parser.add_argument(
        "rate",
        nargs="?",
        help=f"messages a second, at most: {LOWEST_RATE} to {HIGHEST_RATE}; by default no limit",
    )
    options = parser.parse_args(arguments)
    # 256 random bits, which nobody can guess, so a fast hash is enough. Only the hash is stored.
    key = PREFIX + secrets.token_urlsafe(32)
    rate = "" if options.rate is None else f" {options.rate or 0}"
    try:
        new_key = parse_line(f"{options.name} sha256:{sha256(key.encode()).hexdigest()}{rate}")
    except ValueError as error:
        parser.error(str(error))
    if new_key is None or new_key.name != options.name:
        parser.error("a name has only letters, digits, . _ -")
    print(new_key)
    print(f"the key, shown only now: {key}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
