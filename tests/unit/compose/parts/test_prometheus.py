"""Tests of the choice of Prometheus's, Alertmanager's and the Redis exporter's programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from celery_app.settings import Settings
from compose.parts import prometheus


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
