"""API keys. The file has a name and a hash for each; the keys themselves are nowhere.

A line: ``name sha256:<64 hex digits> [messages a second]``; ``#`` begins a comment. A new one:
``python -m api.access.keys mobile-app 50 >> keys.txt`` prints the key on the terminal, once. A key
is 256 random bits, so that a fast hash is enough: there is nothing to guess it by.
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

#: How keys begin, so that one in the wrong place is recognised.
PREFIX = "byline_"
#: Messages a second: what the rate limiter can count exactly.
LOWEST_RATE, HIGHEST_RATE = Decimal("0.001"), Decimal(1_000_000)
_LINE = re.compile(r"([\w.-]+)\s+sha256:([0-9a-f]{64})(?:\s+(\S+))?")
_RATE = re.compile(r"[0-9]+(?:\.[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One of those who may ask."""

    name: str
    digest: bytes
    #: Messages a second, in whole thousandths; None: as many as go.
    rate: Decimal | None

    def __str__(self) -> str:
        """Return the key's line of the file."""
        rate = "" if self.rate is None else f" {self.rate}"
        return f"{self.name} sha256:{self.digest.hex()}{rate}"


def parse_line(line: str) -> ApiKey | None:
    """Return the key that a line of the file describes; None where it holds only a comment.

    The command parses what it writes, and the api what it reads, with this function.

    Raises:
        ValueError: the line describes no key. The words quote neither the line nor the hash.
    """
    entry = line.partition("#")[0].strip()
    if not entry:
        return None
    found = _LINE.fullmatch(entry)
    if found is None:
        raise ValueError("not 'name sha256:<hash> [rate]'; a name has letters, digits, . _ - only")
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
    """All who may ask."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._keys = keys

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Read the file.

        Raises:
            SettingsError: there is none, or a line is not as it should be. Quotes no line.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise SettingsError(f"BYLINE_KEYS_FILE={path} can't be read: {error}") from None
        except UnicodeDecodeError:  # its words quote a byte
            raise SettingsError(f"BYLINE_KEYS_FILE={path} can't be read: not UTF-8") from None
        names: dict[str, int] = {}
        digests: dict[bytes, int] = {}
        keys = []
        for number, line in enumerate(lines, 1):
            try:
                key = parse_line(line)
                if key is None:
                    continue
                _refuse_second("name", number, names.setdefault(key.name, number))
                _refuse_second("hash", number, digests.setdefault(key.digest, number))
            except ValueError as error:
                raise SettingsError(f"{path}, line {number}: {error}") from None
            keys.append(key)
        if not keys:
            raise SettingsError(f"BYLINE_KEYS_FILE={path} has no key: nobody could ask")
        return cls(keys)

    def find(self, authorization: str) -> ApiKey | None:
        """Return whose key is in an ``Authorization`` header; None: nobody's."""
        scheme, _, given = authorization.partition(" ")
        digest = sha256(given.strip().encode("utf-8", "surrogatepass")).digest()
        found = None
        for key in self._keys:  # to the end, whoever it is, so that the time tells nothing
            if compare_digest(key.digest, digest):
                found = key
        return found if scheme.lower() == "bearer" else None


def _refuse_second(what: str, number: int, first: int) -> None:
    if number != first:
        raise ValueError(f"the {what} is that of line {first}; each key has its own")


def main(arguments: Sequence[str]) -> int:
    """Make a key: its line on standard output, itself on standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m api.access.keys",
        description="Make an API key; append the output to the file.",
    )
    parser.add_argument("name", help="who it is for: letters, digits, . _ -")
    parser.add_argument(
        "rate",
        nargs="?",
        help=f"most messages a second, {LOWEST_RATE} to {HIGHEST_RATE}; without one, no limit",
    )
    options = parser.parse_args(arguments)
    key = PREFIX + secrets.token_urlsafe(32)
    rate = "" if options.rate is None else f" {options.rate or 0}"
    try:
        made = parse_line(f"{options.name} sha256:{sha256(key.encode()).hexdigest()}{rate}")
    except ValueError as error:
        parser.error(str(error))
    if made is None or made.name != options.name:
        parser.error("a name has letters, digits, . _ - only")
    print(made)
    print(f"the key, shown only now: {key}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
