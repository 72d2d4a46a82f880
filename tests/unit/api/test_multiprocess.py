"""The folder of the api's metrics: each api has one folder, and no folder stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from monitoring.instruments import multiprocess


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the parent of the folders. After the test, restores the environment."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv(multiprocess.VARIABLE, "")
    return tmp_path


def test_it_is_there_for_as_long_as_it_is_used(place: Path) -> None:
    with multiprocess.folder():
        own = Path(os.environ[multiprocess.VARIABLE])
        assert list(place.iterdir()) == [own]
    assert list(place.iterdir()) == []


def test_process_forked_within_leaves_the_folder_when_it_exits(place: Path) -> None:
    child = None
    try:
        with multiprocess.folder():
            child = os.fork()
            if not child:
                sys.exit()  # leaves the block, as a worker of gunicorn does
            os.waitpid(child, 0)
            assert Path(os.environ[multiprocess.VARIABLE]).is_dir()
    finally:
        if child == 0:
            os._exit(0)


def test_what_a_killed_api_left_is_removed_and_what_is_used_is_not(place: Path) -> None:
    left = place / f"{multiprocess.PREFIX}left"
    left.mkdir()
    (left / multiprocess.LOCK).touch()
    (left / "counter_1.db").touch()
    with multiprocess.folder():
        first = Path(os.environ[multiprocess.VARIABLE])
        with multiprocess.folder():
            second = Path(os.environ[multiprocess.VARIABLE])
            assert set(place.iterdir()) == {first, second}


def test_the_library_is_imported_by_nothing_that_comes_before_the_folder() -> None:
    words = "import sys, api.__main__; sys.exit('prometheus_client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", words], check=False).returncode == 0
