"""API keys. The file has a name and a hash for each; the keys themselves are nowhere.

A line: ``name sha256:<64 hex digits> [messages a second]``; ``#`` begins a comment. A new one:
``python -m api.keys mobile-app 50 >> keys.txt`` prints the key on the terminal, once. A key is 256
random bits, so that a fast hash is enough: there is nothing to guess it by.
"""

from __future__ import annotations

import argparse
import re
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from pathlib import Path

from celery_app.settings import SettingsError

_LINE = re.compile(r"([\w.-]+)\s+sha256:([0-9a-f]{64})(?:\s+(\d+(?:\.\d+)?))?")
#: How keys begin, so that one in the wrong place is recognised.
PREFIX = "byline_"


@dataclass(frozen=True, slots=True)
class Key:
    """One of those who may ask."""

    name: str
    digest: bytes
    #: Messages a second; None: as many as go.
    rate: float | None


class Keys:
    """All who may ask."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Read the file.

        Raises:
            SettingsError: there is none, or a line is not as it should be. Quotes no line.
        """
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"BYLINE_KEYS_FILE={path} can't be read: {error}") from None
        keys: dict[str, Key] = {}
        for number, line in enumerate(lines, 1):
            entry = line.partition("#")[0].strip()
            if not entry:
                continue
            found = _LINE.fullmatch(entry)
            if found is None:
                raise SettingsError(f"{path}, line {number}: not 'name sha256:<hash> [rate]'")
            name, digest, rate = found.groups()
            if name in keys or rate == "0":
                raise SettingsError(f"{path}, line {number}: {name} twice, or a rate of 0")
            keys[name] = Key(name, bytes.fromhex(digest), None if rate is None else float(rate))
        if not keys:
            raise SettingsError(f"BYLINE_KEYS_FILE={path} has no key: nobody could ask")
        return cls(tuple(keys.values()))

    def find(self, authorization: str) -> Key | None:
        """Return whose key is in an ``Authorization`` header; None: nobody's."""
        scheme, _, given = authorization.partition(" ")
        digest = sha256(given.strip().encode("utf-8", "surrogatepass")).digest()
        found = None
        for key in self._keys:  # to the end, whoever it is, so that the time tells nothing
            if compare_digest(key.digest, digest):
                found = key
        return found if scheme.lower() == "bearer" else None


def main(arguments: Sequence[str]) -> int:
    """Make a key: its line on standard output, itself on standard error."""
    parser = argparse.ArgumentParser(
        prog="python -m api.keys", description="Make an API key; append the output to the file."
    )
    parser.add_argument("name", help="who it is for: letters, digits, . _ -")
    parser.add_argument("rate", nargs="?", type=float, help="most messages a second")
    options = parser.parse_args(arguments)
    key = PREFIX + secrets.token_urlsafe(32)
    rate = "" if options.rate is None else f" {options.rate:g}"
    line = f"{options.name} sha256:{sha256(key.encode()).hexdigest()}{rate}"
    if not _LINE.fullmatch(line):
        parser.error("the name must be of letters, digits, . _ - and the rate above 0")
    print(line)
    print(f"the key, shown only now: {key}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
