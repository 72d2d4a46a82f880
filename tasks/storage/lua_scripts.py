"""Lua scripts for Redis: each is a file, and is sent without its comments."""

from __future__ import annotations

from pathlib import Path

#: The scripts of this package, and functions that several scripts share.
FOLDER = Path(__file__).with_name("lua")


def read_script(path: Path, *shared: str) -> str:
    """Return the script in ``path``, after the functions in the files ``shared`` of this package.

    Comments and indentation are left out: Redis reads and hashes a whole script each time that it
    is sent.
    """
    files = [FOLDER / f"{name}.lua" for name in shared] + [path]
    lines = (line.strip() for file in files for line in file.read_text().splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))


def own_script(name: str, *shared: str) -> str:
    """Return the script ``name`` of this package, as :func:`read_script` does."""
    return read_script(FOLDER / f"{name}.lua", *shared)
