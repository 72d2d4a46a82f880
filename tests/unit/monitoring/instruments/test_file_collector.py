"""The page of metrics is complete although a process has just begun to write its file."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from monitoring.instruments.exposition import FileCollector


def test_an_empty_file_is_read_again_when_its_process_has_filled_it(tmp_path: Path) -> None:
    file = tmp_path / "counter_1.db"
    file.touch()
    collector = FileCollector(CollectorRegistry(), str(tmp_path))
    timer = threading.Timer(0.15, file.write_bytes, [(8).to_bytes(4, "little") + bytes(1024)])
    timer.start()
    assert list(collector.collect()) == []
    timer.join()


def test_a_file_that_stays_empty_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitoring.instruments.exposition.PAUSE_S", 0.0)
    (tmp_path / "counter_1.db").touch()
    with pytest.raises(Exception, match="unpack"):
        FileCollector(CollectorRegistry(), str(tmp_path)).collect()
