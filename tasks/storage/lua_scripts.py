"""Loads Lua scripts for Redis from files, and strips their comments."""

from __future__ import annotations

from pathlib import Path

#: The folder of this package's scripts, and of functions that several scripts share.
FOLDER = Path(__file__).with_name("lua")


def read_script(path: Path, *shared: str) -> str:
    """Returns the text of the script in ``path``, without comments and indentation.

    ``shared`` names Lua files of this package, without ``.lua``. Their text is put before the
    script, so that the script can call their functions.
    """
    files = [FOLDER / f"{name}.lua" for name in shared] + [path]
    # Redis reads and hashes the script at each call, so a short script saves time.
    lines = (line.strip() for file in files for line in file.read_text().splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))


def own_script(name: str, *shared: str) -> str:
    """Returns the text of the script ``name`` in this package, as :func:`read_script` does."""
    return read_script(FOLDER / f"{name}.lua", *shared)
