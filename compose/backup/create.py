"""Writes a backup: one archive with the data, the models and the passwords of a state folder."""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from compose.backup.contents import DATA, DESCRIPTION, LAYOUT, MODELS, PASSWORDS
from compose.backup.snapshot import MANIFEST, AppendOnlyFiles, opened

#: Level of compression, 1 to 9. Level 1 takes a quarter of the time of level 6.
COMPRESSION = 1


def create(state: Path, target: Path) -> tuple[Path, list[str]]:
    """Writes a backup of the state folder ``state`` into the folder ``target``.

    Byline may run meanwhile. Only the owner can read the archive. An archive that can't be
    completed is removed.

    Returns:
        The archive's path, and the names of its members. The names leave out the first member,
        which describes the backup.

    Raises:
        BackupError: Valkey replaced its files during each attempt to open them.
        OSError: a file can't be read or written.
    """
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = time.gmtime()
    partial = target / f".byline-{os.getpid()}.partial"
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            names = _write(state, file, now)
            file.flush()
            os.fsync(file.fileno())
        return _named(partial, target, now), names
    finally:
        partial.unlink(missing_ok=True)


def _named(partial: Path, target: Path, now: time.struct_time) -> Path:
    """Moves the archive ``partial`` to its final path in the folder ``target``. Returns that path.

    The archive's name has the time ``now``, and also a number if another archive has that name.
    """
    stem, number = f"byline-{time.strftime('%Y%m%dT%H%M%SZ', now)}", 1
    while True:
        path = target / f"{stem}{f'-{number}' if number > 1 else ''}.tar.gz"
        try:
            path.touch(0o600, exist_ok=False)
        except FileExistsError:
            number += 1
            continue
        return partial.replace(path)


def _write(state: Path, file: BinaryIO, now: time.struct_time) -> list[str]:
    """Writes the archive to an open file, and returns the names of the archive's members.

    The names leave out the first member, which describes the backup. ``now`` is the time in UTC.
    """
    description = {"layout": LAYOUT, "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", now)}
    with (
        opened(state / DATA) as data,
        tarfile.open(fileobj=file, mode="w:gz", compresslevel=COMPRESSION) as archive,
    ):
        _add(archive, DESCRIPTION, json.dumps(description).encode())
        if data is not None:
            _add_data(archive, data)
        for path in _own_files(state):
            _add(archive, path.relative_to(state).as_posix(), path.read_bytes())
        return archive.getnames()[1:]


def _add_data(archive: tarfile.TarFile, data: AppendOnlyFiles) -> None:
    """Adds Valkey's files to the archive, each only up to its size in ``data``.

    The archive leaves out the bytes that Valkey has appended since this size was measured.
    """
    _add(archive, f"{DATA}/{MANIFEST}", data.manifest)
    for name, (file, size) in data.files.items():
        archive.addfile(_info(f"{DATA}/{name}", size), file)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(_info(name, len(content)), io.BytesIO(content))


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, int(time.time())
    return info


def _own_files(state: Path) -> Iterator[Path]:
    """Yields the paths of the models' files and of the password files in the state folder."""
    candidates = [*sorted((state / MODELS).rglob("*")), *(state / name for name in PASSWORDS)]
    yield from (path for path in candidates if path.is_file())
