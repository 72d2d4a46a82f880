"""Prints the settings as a Markdown table: ``python -m celery_app.settings.table``."""

from __future__ import annotations

from typing import get_type_hints

import msgspec

from celery_app.settings import PREFIX, Settings


def table() -> str:
    """Returns a Markdown table with a row for each setting: variable, default and meaning."""
    hints = get_type_hints(Settings, include_extras=True)
    rows = ["| variable | default | meaning |", "|---|---|---|"]
    for field in msgspec.structs.fields(Settings):
        meaning = next(
            meta.description
            for meta in reversed(hints[field.name].__metadata__)
            if meta.description
        )
        default = "" if field.default is None else f"`{field.default}`"
        rows.append(f"| `{PREFIX}{field.name.upper()}` | {default} | {meaning} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
