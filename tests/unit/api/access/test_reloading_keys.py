"""The file of API keys while the API runs: only valid changes are loaded."""

from __future__ import annotations

import logging
from hashlib import sha256
from pathlib import Path

import pytest

from api.access.reloading_keys import ReloadingKeys


def line(name: str, rate: str = "") -> str:
    """Returns a line of the file. The key is the same text as the key's name."""
    return f"{name} sha256:{sha256(name.encode()).hexdigest()} {rate}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "keys.txt"
    file.write_text(line("first") + line("second"))
    return file


def known(keys: ReloadingKeys) -> set[str]:
    return {name for name in ("first", "second", "third") if keys.find(f"Bearer {name}")}


def settle(keys: ReloadingKeys) -> None:
    """Checks the file twice, with no change in between."""
    keys.check()
    keys.check()


def test_revoked_key_is_refused_and_new_key_is_accepted(path: Path) -> None:
    keys = ReloadingKeys(path)
    path.write_text(line("second") + line("third"))
    settle(keys)
    assert known(keys) == {"second", "third"}


def test_replaced_file_is_loaded(path: Path) -> None:
    """Replaces the file by a rename, as editors, `mv` and Kubernetes do."""
    keys = ReloadingKeys(path)
    other = path.with_name("new")
    other.write_text(line("first") + line("third"))
    other.replace(path)
    settle(keys)
    assert known(keys) == {"first", "third"}


def test_new_rate_is_loaded(path: Path) -> None:
    keys = ReloadingKeys(path)
    path.write_text(line("first", "2.5"))
    settle(keys)
    key = keys.find("Bearer first")
    assert key is not None
    assert key.rate == 2.5


def test_file_that_is_still_being_written_is_not_loaded(path: Path) -> None:
    keys = ReloadingKeys(path)
    path.write_text(line("second"))
    keys.check()
    with path.open("a") as file:
        file.write(line("third"))
    keys.check()
    assert known(keys) == {"first", "second"}, "half a file was loaded"
    keys.check()
    assert known(keys) == {"second", "third"}


@pytest.mark.parametrize("text", ["nonsense hushhush\n", "", line("first", "0.0"), None])
def test_invalid_file_keeps_the_old_keys_and_is_logged_once(
    path: Path, caplog: pytest.LogCaptureFixture, text: str | None
) -> None:
    keys = ReloadingKeys(path)
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            keys.check()
    assert known(keys) == {"first", "second"}
    assert len(caplog.records) == 1
    assert str(path) in caplog.text
    assert "stay in force" in caplog.text
    assert "hushhush" not in caplog.text
    path.write_text(line("third"))
    settle(keys)
    assert known(keys) == {"third"}


def test_file_that_could_not_be_opened_is_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ReloadingKeys(path)
    path.write_text(line("third"))

    def refuse(*_: object, **__: object) -> str:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as full:
        full.setattr(Path, "read_text", refuse)
        settle(keys)
    assert known(keys) == {"first", "second"}
    keys.check()
    assert known(keys) == {"third"}
