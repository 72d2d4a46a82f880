"""Tests that the state folder is private to its owner."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from compose.native.state import claimed


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.glob("*/"))}


@pytest.fixture
def opened(tmp_path: Path) -> Path:
    """Returns a state folder with the file modes of earlier versions of Byline."""
    for name in ("logs", "valkey", "prometheus", "models"):
        (tmp_path / name).mkdir(mode=0o755)
    (tmp_path / "lock").touch()
    tmp_path.chmod(0o755)
    return tmp_path


def test_a_new_state_folder_is_private(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with claimed(tmp_path / "new"):
        assert modes(tmp_path / "new") == {0o700}
    assert "look into" not in capfd.readouterr().out


def test_a_state_folder_that_others_could_read_is_made_private(
    opened: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with claimed(opened):
        assert modes(opened) == {0o700}
    assert "look into" not in capfd.readouterr().out


def test_a_folder_with_other_files_stays_open_and_bylines_folders_in_it_are_private(
    opened: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The folder may be /tmp, or a home directory."""
    (opened / "theirs").mkdir(mode=0o755)
    with claimed(opened):
        assert stat.S_IMODE(opened.stat().st_mode) == 0o755
        assert stat.S_IMODE((opened / "theirs").stat().st_mode) == 0o755
        assert modes(opened / "logs") | modes(opened / "valkey") == {0o700}
    assert "it also holds 'theirs'" in capfd.readouterr().out


def test_a_state_folder_that_can_not_be_made_private_is_reported(
    opened: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with claimed(opened):
        assert (
            f"other users can look into {opened}, where texts are kept\n" in capfd.readouterr().out
        )
