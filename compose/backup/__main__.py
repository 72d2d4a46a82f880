"""Backs up and restores the state folder: ``make backup``, and ``make restore FILE=…``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from celery_app.settings import Settings, SettingsError
from compose.backup.contents import DATA
from compose.backup.create import create
from compose.backup.errors import BackupError
from compose.backup.restore import restore
from compose.native.state import claimed
from compose.parts.errors import CannotRun


def main(arguments: Sequence[str]) -> int:
    """Makes or restores a backup, as ``arguments`` say. Returns the exit status."""
    options = _options(arguments)
    os.umask(0o077)
    try:
        settings = Settings.from_environ(os.environ)
        print(options.does(settings, options))
    except (BackupError, CannotRun, SettingsError, OSError) as error:
        print(f"byline: {error}", file=sys.stderr)
        return 1
    return 0


def _create(settings: Settings, options: argparse.Namespace) -> str:
    """Writes a backup into the folder ``options.to``, and returns the text to print."""
    if not settings.state_dir.is_dir():
        raise BackupError(f"there is nothing to back up in {settings.state_dir}")
    archive, names = create(settings.state_dir, options.to)
    size = archive.stat().st_size / 1e6
    return (
        f"byline: {len(names)} files of {settings.state_dir} are in {archive}, {size:.1f} MB; "
        f"{_note(settings, names)}"
    )


def _note(settings: Settings, names: Sequence[str]) -> str:
    """Returns a note for the terminal on what a new backup holds.

    The note warns of private texts, which are in the queue and in the cache. If the backup has no
    queue and no cache, the note says why. ``names`` are the names of the files in the backup.
    """
    if settings.redis_url is not None:
        return "it has no queue and no cache: these are in the Redis of BYLINE_REDIS_URL"
    if not any(name.startswith(DATA) for name in names):
        return "it has no queue and no cache: Byline has not run here yet"
    return "it holds texts of messages, not encrypted, and only you can read it"


def _restore(settings: Settings, options: argparse.Namespace) -> str:
    """Restores the backup ``options.file``, and returns the text to print."""
    with claimed(settings.state_dir) as (folder, _, _):
        aside = restore(options.file, folder, options.replace)
    moved = f"; what was there before is in {aside}: remove it when all is well" if aside else ""
    return f"byline: {options.file} is restored into {settings.state_dir}{moved}"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m compose.backup", description=__doc__)
    commands = parser.add_subparsers(required=True)
    made = commands.add_parser("create", help="write a new archive; Byline may run meanwhile")
    made.add_argument("--to", type=Path, default=Path("backups"), help="folder (%(default)s)")
    made.set_defaults(does=_create)
    restored = commands.add_parser("restore", help="restore an archive; Byline must not run")
    restored.add_argument("file", type=Path)
    restored.add_argument("--replace", action="store_true", help="move aside what is there")
    restored.set_defaults(does=_restore)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
