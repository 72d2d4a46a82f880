"""A new model replaces all files of the old model, or none of them."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from model.training import staging
from model.training.errors import DataError
from model.training.staging import check_folder, put_in_place, staging_folder


def files(folder: Path) -> dict[str, str]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def write(folder: Path, words: str) -> None:
    for name in ("a", "b", "sub/c"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(words)


def publish(out: Path, error: BaseException | None = None) -> None:
    """Writes a new model into ``out``; ``error`` is raised before the new files are moved."""
    with staging_folder(out) as staged:
        write(staged, "new")
        if error:
            raise error
        put_in_place(staged, out)


NEW = dict.fromkeys(("a", "b", "sub/c"), "new")


def test_model_is_written_where_none_was(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "model"
    publish(out)
    assert files(tmp_path / "deep") == {f"model/{name}": "new" for name in NEW}


def test_new_model_replaces_the_old_one_and_other_files_stay(tmp_path: Path) -> None:
    out = tmp_path / "model"
    write(out, "old")
    (out / "notes").write_text("mine")
    with staging_folder(out) as staged:
        write(staged, "new")
        assert files(out) == dict.fromkeys(NEW, "old") | {"notes": "mine"}
        put_in_place(staged, out)
    assert files(tmp_path) == {f"model/{n}": w for n, w in (NEW | {"notes": "mine"}).items()}


def test_failed_training_leaves_the_old_model_and_no_rubbish(tmp_path: Path) -> None:
    out = tmp_path / "model"
    write(out, "old")
    with pytest.raises(KeyboardInterrupt):
        publish(out, KeyboardInterrupt())
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert files(out) == dict.fromkeys(NEW, "old")


@pytest.mark.parametrize("old", [True, False])
def test_error_while_files_are_moved_restores_the_old_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    out = tmp_path / "model"
    out.mkdir()
    if old:
        write(out, "old")
    before, moved = files(out), []
    replace = staging._replace

    def fail_at_third(source: Path, target: Path) -> None:
        moved.append(target)
        if len(moved) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(staging, "_replace", fail_at_third)
    with pytest.raises(OSError, match="No space"):
        publish(out)
    assert files(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "real", "old")
    publish(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert files(tmp_path / "real") == NEW


def test_folder_in_another_file_system_gets_the_files_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "model", Path.replace
    write(out, "old")

    def refuse(self: Path, target: Path) -> Path:
        if self.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    publish(out)
    assert files(out) == NEW


def test_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a")
    with pytest.raises(DataError, match="file: a file and not a folder: name another"):
        check_folder(tmp_path / "file")
    with pytest.raises(DataError, match="file: this folder can't be written to"):
        check_folder(tmp_path / "file" / "below")


def test_folder_without_permission_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_folder(tmp_path / "new" / "model")
    monkeypatch.setattr(staging.os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(DataError, match="this folder can't be written to: name another"):
        check_folder(tmp_path / "new" / "model")
    assert list(tmp_path.iterdir()) == []
