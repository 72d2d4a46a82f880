"""Tests of the parts' environment, the choice of programs, and the health threads."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from celery_app.settings import Settings
from compose.parts import prometheus
from compose.parts.assembly import environment
from compose.parts.errors import CannotRun
from compose.parts.health import HealthThread


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


def test_the_makers_program_has_precedence_over_debians(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    names = {
        "prometheus": ("prometheus",),
        "alertmanager": ("prometheus-alertmanager", "alertmanager"),
        "redis-exporter": ("prometheus-redis-exporter", "redis_exporter"),
    }
    for step in (0, -1):
        for called in names.values():
            (tmp_path / called[step]).touch(0o755)
        found = {part: str(tmp_path / called[step]) for part, called in names.items()}
        assert prometheus.programs(Settings()) == found


def test_a_probe_that_raises_is_called_again() -> None:
    looks = iter([0, 1])
    waiting = HealthThread(lambda: bool(1 / next(looks)))
    assert waiting.healthy.wait(10)


def test_a_thread_that_can_not_start_gives_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_room)
    with pytest.raises(CannotRun, match="can't start new thread: see to the limit on processes"):
        HealthThread(lambda: True)
