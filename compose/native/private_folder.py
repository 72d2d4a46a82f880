"""Makes the state folder private to its owner, because it holds texts and passwords."""

from __future__ import annotations

import re
import stat
from contextlib import suppress
from pathlib import Path

#: Matches the names of Byline's files in the state folder, and of the files that users put there as
#: Byline's documentation says.
OWN = re.compile(
    r"logs|valkey.*|prometheus|alertmanager|lock|probe|run|byline-.*|models|backup"
    r"|(flower|monitoring)-password|monitoring-web\.yml"
)


def make_private(folder: Path) -> str:
    """Makes a state folder private. Returns a warning if other users still have access, else "".

    If the folder also holds other programs' files, only Byline's own folders in it become private.

    Raises:
        OSError: the folder can't be read.
    """
    held = list(folder.iterdir())
    foreign = sorted(path.name for path in held if not OWN.fullmatch(path.name))
    own = [path for path in held if path.name not in foreign and path.is_dir()]
    # Other users may need the files of other programs.
    for each in own if foreign else [folder, *own]:
        with suppress(OSError):  # another user's folder, or a file system without modes
            if _is_open(each):
                each.chmod(0o700)
    if not _is_open(folder):
        return ""
    reason = f": it also holds {foreign[0]!r}" if foreign else ""
    return f"other users can look into {folder}, where texts are kept{reason}"


def _is_open(folder: Path) -> bool:
    """Returns whether the folder's mode gives other users any permission."""
    return bool(stat.S_IMODE(folder.stat().st_mode) & 0o077)
