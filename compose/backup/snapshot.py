"""Opens Valkey's append-only files as they are at one moment, even while Valkey writes them.

A manifest lists the files that belong together. Valkey sometimes replaces files and the manifest.
If the manifest changes while this module opens the files, the module opens them again.
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
#: Maximum number of attempts to open the files. Valkey may replace a file during an attempt.
TRIES = 100
#: Seconds between two attempts.
PAUSE_S = 0.1

_LINE = re.compile(r"^file (\S+) seq \d+ type ([bhi])", re.MULTILINE)


class AppendOnlyFiles(NamedTuple):
    """A manifest, and the files that the manifest lists.

    ``files`` maps the name of each file to a pair: the open file, and its size in bytes. The sizes
    are measured once all files are open.
    """

    manifest: bytes
    files: dict[str, tuple[BinaryIO, int]]


@contextmanager
def opened(folder: Path) -> Iterator[AppendOnlyFiles | None]:
    """Opens the append-only files in ``folder`` for a ``with`` block. Yields None if none exist.

    Raises:
        BackupError: Valkey replaced files during each attempt to open them.
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
    """Opens the files that ``manifest`` lists. Returns None if Valkey replaced files meanwhile."""
    lines = _LINE.findall(manifest.decode("ascii", errors="replace"))
    try:
        # Valkey deletes files of the type h, for history, by itself.
        names = [name for name, kind in lines if kind != "h"]
        files = {name: stack.enter_context((folder / name).open("rb")) for name in names}
        # If the manifest has not changed, the opened files belong together. An open file stays
        # readable even if Valkey deletes it.
        if (folder / MANIFEST).read_bytes() != manifest:
            return None
    except FileNotFoundError:
        return None
    # Valkey may append to the last file while it is open. A copy without the new bytes is complete:
    # it holds Valkey's data as of the moment before Valkey appended.
    sizes = {name: (file, os.fstat(file.fileno()).st_size) for name, file in files.items()}
    return AppendOnlyFiles(_without_history(manifest), sizes)


def _without_history(manifest: bytes) -> bytes:
    lines = manifest.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.rstrip().endswith(b"type h"))
