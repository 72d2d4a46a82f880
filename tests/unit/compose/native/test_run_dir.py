"""Tests of the run folder: a short path, and its removal after a killed run."""

from __future__ import annotations

from pathlib import Path

import pytest

from compose.native import run_dir
from compose.native.run_dir import make_run_dir, remove_run_dir


def test_the_run_folder_has_a_short_path_and_the_next_run_removes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("long" * 25)
    odd = tmp_path / "100%"
    for folder in (long, odd):
        folder.mkdir()
    monkeypatch.setattr(run_dir.tempfile, "gettempdir", lambda: str(long))
    for state in (tmp_path, long, odd):
        left = make_run_dir(state)
        assert left.parent == (Path("/tmp") if state != tmp_path else state)
        made = make_run_dir(state)  # as after a run that was killed
        assert not left.exists()
        remove_run_dir(state)
        assert not made.exists()
        assert not (state / "run").is_symlink()
