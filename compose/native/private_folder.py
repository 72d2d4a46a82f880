"""The mode of the state folder: texts and passwords in it are for its owner only."""

from __future__ import annotations

import re
import stat
from contextlib import suppress
from pathlib import Path

#: What Byline keeps in the state folder, and what its documentation has people put there.
OWN = re.compile(
    r"logs|valkey.*|prometheus|alertmanager|lock|probe|run|byline-.*|models|backup"
    r"|(flower|monitoring)-password|monitoring-web\.yml"
)


def shut(folder: Path) -> str:
    """Shuts a state folder that others can look into. Returns why it stays open; empty: it does not.

    Where the folder holds what is not Byline's, only Byline's own folders in it are shut: others
    may need the rest.

    Raises:
        OSError: the folder can't be read.
    """
    held = list(folder.iterdir())
    foreign = sorted(path.name for path in held if not OWN.fullmatch(path.name))
    own = [path for path in held if path.name not in foreign and path.is_dir()]
    for each in own if foreign else [folder, *own]:
        with suppress(OSError):  # somebody else's, or a file system without modes
            if _is_open(each):
                each.chmod(0o700)
    if not _is_open(folder):
        return ""
    reason = f": it also holds {foreign[0]!r}" if foreign else ""
    return f"other users can look into {folder}, where texts are kept{reason}"


def _is_open(folder: Path) -> bool:
    """Returns whether anybody but the owner can look into the folder."""
    return bool(stat.S_IMODE(folder.stat().st_mode) & 0o077)
