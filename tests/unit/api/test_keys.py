"""API keys: the file, the hashes, who is let in."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from api import keys
from api.keys import Keys
from celery_app.settings import SettingsError


def line(name: str, key: str, rate: str = "") -> str:
    return f"{name} sha256:{sha256(key.encode()).hexdigest()} {rate}"


def written(folder: Path, *lines: str) -> Path:
    path = folder / "keys.txt"
    path.write_text("\n".join(lines))
    return path


def test_finds_whose_key_it_is(tmp_path: Path) -> None:
    text = ("# ours", "", line("app", "secret", "50"), line("web", "other") + "  # theirs")
    found = Keys.read(written(tmp_path, *text))
    assert (key := found.find("Bearer secret")) is not None
    assert (key.name, key.rate) == ("app", 50.0)
    assert (key := found.find("bearer  other ")) is not None
    assert (key.name, key.rate) == ("web", None)


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic secret", "secret", "Bearer sécret"]
)
def test_others_are_nobody(tmp_path: Path, given: str) -> None:
    assert Keys.read(written(tmp_path, line("app", "secret"))).find(given) is None


@pytest.mark.parametrize(
    "text",
    [
        "app secret",
        "app sha256:12",
        line("app", "a") + "fast",
        line("app", "a", "0"),
        line("app", "a") + "\n" + line("app", "b"),
        "# nothing",
        "",
    ],
)
def test_a_file_that_is_wrong_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Keys.read(written(tmp_path, text))
    assert "secret" not in str(refused.value)


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read"):
        Keys.read(tmp_path / "none")


def test_a_new_key_works_and_only_its_hash_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys.main(["mobile-app", "2.5"]) == 0
    output, shown = capsys.readouterr()
    key = shown.split()[-1]
    assert key.startswith(keys.PREFIX)
    assert key not in output
    found = Keys.read(written(tmp_path, output)).find(f"Bearer {key}")
    assert found is not None
    assert (found.name, found.rate) == ("mobile-app", 2.5)


def test_a_name_that_no_file_could_hold_is_refused() -> None:
    with pytest.raises(SystemExit):
        keys.main(["two words"])
