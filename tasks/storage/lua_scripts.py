"""Loads Lua scripts for Redis from files, without their comments."""

from __future__ import annotations

from pathlib import Path

#: The folder of this package's scripts, and of functions that several scripts share.
FOLDER = Path(__file__).with_name("lua")


def read_script(path: Path, *shared: str) -> str:
    """Returns the script in ``path``, after the functions in this package's files ``shared``.

    Comments and indentation are removed: Redis reads and hashes a whole script at each call.
    """
    files = [FOLDER / f"{name}.lua" for name in shared] + [path]
    lines = (line.strip() for file in files for line in file.read_text().splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))


def own_script(name: str, *shared: str) -> str:
    """Returns this package's script ``name``, as :func:`read_script` does."""
    return read_script(FOLDER / f"{name}.lua", *shared)
