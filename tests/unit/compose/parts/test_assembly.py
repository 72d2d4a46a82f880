"""Tests of the environment that the parts get."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from celery_app.settings import Settings
from compose.parts.assembly import environment


def test_a_password_from_a_file_is_handed_on_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text("secret\n")
    for name in [name for name in os.environ if name.startswith("BYLINE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BYLINE_REDIS_URL", "redis://localhost:1/0")
    monkeypatch.setenv("BYLINE_CACHE_URL", "redis://localhost:2/0")
    for server in ("REDIS", "CACHE"):
        monkeypatch.setenv(f"BYLINE_{server}_PASSWORD_FILE", str(file))
    settings = Settings.from_environ(os.environ)
    handed_on = Settings.from_environ(environment(settings, "byline:flower", ()))
    assert handed_on.broker == settings.broker == "redis://:secret@localhost:1/0"
    assert handed_on.cache == settings.cache == "redis://:secret@localhost:2/0"
