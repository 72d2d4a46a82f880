"""Flower's password: made once, kept in a file that nobody else may read."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile

#: The user it is for.
USER = "byline"
#: Where Flower looks for ``user:password``; a process's arguments can be read by everybody here.
VARIABLE = "FLOWER_BASIC_AUTH"
FILE = "flower-password"


def flower_login(folder: Path, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return ``user:password``, and words that say where a person finds it.

    What the user has set goes first.
    """
    if given := environ.get(VARIABLE):
        return given.partition(",")[0], f"login in {VARIABLE}"
    file = folder / FILE
    if not file.exists():
        # Whole or not at all: half a password would be one.
        with NamedTemporaryFile("w", dir=folder, delete=False) as output:  # for its owner only
            output.write(secrets.token_urlsafe(12) + "\n")
        Path(output.name).replace(file)
    words = f"user {USER}, password in {os.path.relpath(file)}"
    return f"{USER}:{file.read_text().strip()}", words
