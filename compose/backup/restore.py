"""Restores a backup: moves the old data aside, and unpacks the archive into the state folder."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
import time
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

from compose.backup.contents import DESCRIPTION, KEPT, LAYOUT
from compose.backup.errors import BackupError


def restore(archive: Path, state: Path, replace: bool) -> Path | None:
    """Replaces the data in the state folder ``state`` with the data in ``archive``.

    The caller must have locked the state folder. If ``archive`` is damaged, nothing changes.

    Returns:
        The folder to which the old data was moved; None if there was no old data.

    Raises:
        BackupError: ``archive`` is missing, damaged, no backup, or made by a newer Byline. Also if
            the state folder holds data and ``replace`` is false.
        OSError: a file can't be read or written.
    """
    held = [name for name in KEPT if _holds(state / name)]
    if held and not replace:
        raise BackupError(
            f"{state} already holds {', '.join(held)}; "
            "REPLACE=1 (or --replace) moves all of that aside first"
        )
    with TemporaryDirectory(prefix="byline-restore-", dir=state) as scratch:
        # Reads the whole archive, before anything is moved.
        _extract(archive, Path(scratch))
        aside = _move_aside(state, held)
        for name in KEPT:
            if (new := Path(scratch) / name).exists():
                _move(new, state / name)
    return aside


def _holds(path: Path) -> bool:
    """Returns whether the path is a file, or a folder with something in it."""
    return any(path.iterdir()) if path.is_dir() else path.exists()


def _move_aside(state: Path, held: list[str]) -> Path | None:
    if not held:
        return None
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = Path(mkdtemp(prefix=f"byline-before-{date}-", dir=state))
    for name in held:
        _move(state / name, aside / name)
    return aside


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if target.is_dir():
        target.rmdir()  # it is empty: a folder with files was moved aside
    source.rename(target)


def _extract(archive: Path, folder: Path) -> None:
    """Writes the files of an archive into a folder. Only the owner can read the files.

    Raises:
        BackupError: the archive is missing, damaged, no backup, or made by a newer Byline.
    """
    try:
        # Read as a stream to the end, so that gzip also checks the checksum at the archive's end.
        with gzip.open(archive) as stream:
            with tarfile.open(fileobj=stream, mode="r|") as members:
                _extract_members(members, folder)
            while stream.read(2**20):
                pass
    except FileNotFoundError:
        raise BackupError(f"{archive} does not exist") from None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BackupError(f"{archive} is damaged or no backup: {error}; nothing changed") from None


def _extract_members(members: tarfile.TarFile, folder: Path) -> None:
    first = members.next()
    described = members.extractfile(first) if first and first.name == DESCRIPTION else None
    if described is None:
        raise BackupError("the file is no backup of Byline; nothing changed")
    try:
        layout = json.load(described)["layout"]
    except (KeyError, RecursionError, TypeError, ValueError):
        raise BackupError("the backup's description can't be read; nothing changed") from None
    if layout != LAYOUT:
        raise BackupError(f"a newer Byline made this backup, with layout {layout!r}")
    while (member := members.next()) is not None:
        _extract_file(members, member, folder)


def _extract_file(members: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    parts = Path(member.name).parts
    expected = any(member.name == name or member.name.startswith(f"{name}/") for name in KEPT)
    content = members.extractfile(member) if member.isreg() else None
    if not expected or ".." in parts or content is None:
        raise BackupError(f"the backup holds {member.name!r}, which is not Byline's")
    target = folder / member.name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        shutil.copyfileobj(content, file)
        file.flush()
        os.fsync(file.fileno())
