"""Tests of the process ids that a trial reads from supervisord's log."""

from __future__ import annotations

from bench.chaos.trial import SPAWNED


def test_process_ids_are_read_from_supervisords_log() -> None:
    log = """
2026-01-01 00:00:00,000 INFO supervisord started with pid 11
2026-01-01 00:00:00,100 INFO spawned: 'redis-exporter' with pid 12
"""
    assert [(a or c, b or d) for a, b, c, d in SPAWNED.findall(log)] == [
        ("supervisord", "11"),
        ("redis-exporter", "12"),
    ]
