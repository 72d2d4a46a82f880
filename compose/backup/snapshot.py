"""Opens Valkey's append-only files as they are at one moment, also while Valkey writes them.

Valkey appends to the last file, replaces files when it rewrites them, and lists the files that
belong together in a manifest, which it replaces as a whole. So files that were opened between two
equal manifests belong together: an open file stays readable when Valkey deletes it, and a beginning
of the last file is what Valkey held at an earlier moment.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from compose.backup.errors import BackupError

#: Name of the file that lists Valkey's files.
MANIFEST = "appendonly.aof.manifest"
#: Times that the files are opened, at most: each time, Valkey replaced a file meanwhile.
TRIES = 100
#: Seconds between two times.
PAUSE_S = 0.1

_LINE = re.compile(r"^file (\S+) seq \d+ type ([bhi])", re.MULTILINE)


class AppendOnlyFiles(NamedTuple):
    """A manifest, and the files that it lists: each open, with its size at that moment."""

    manifest: bytes
    files: dict[str, tuple[BinaryIO, int]]


@contextmanager
def opened(folder: Path) -> Iterator[AppendOnlyFiles | None]:
    """Opens the append-only files in ``folder``. Yields None where there are none.

    Raises:
        BackupError: Valkey replaced files each time that they were opened.
    """
    with ExitStack() as stack:
        for _ in range(TRIES):
            try:
                manifest = (folder / MANIFEST).read_bytes()
            except FileNotFoundError:
                yield None
                return
            if (found := _open(folder, manifest, stack)) is not None:
                yield found
                return
            time.sleep(PAUSE_S)
        raise BackupError(f"Valkey replaces the files in {folder} all the time; try again later")


def _open(folder: Path, manifest: bytes, stack: ExitStack) -> AppendOnlyFiles | None:
    """Opens the files of a manifest. Returns None where Valkey has replaced one meanwhile."""
    lines = _LINE.findall(manifest.decode("ascii", errors="replace"))
    try:
        # Valkey deletes files of the type h, for history, by itself.
        names = [name for name, kind in lines if kind != "h"]
        files = {name: stack.enter_context((folder / name).open("rb")) for name in names}
        if (folder / MANIFEST).read_bytes() != manifest:
            return None
    except FileNotFoundError:
        return None
    sizes = {name: (file, os.fstat(file.fileno()).st_size) for name, file in files.items()}
    return AppendOnlyFiles(_without_history(manifest), sizes)


def _without_history(manifest: bytes) -> bytes:
    lines = manifest.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.rstrip().endswith(b"type h"))
