"""The file of API keys, and the command that makes a key."""

from __future__ import annotations

from decimal import Decimal
from hashlib import sha256
from pathlib import Path

import pytest

from api.access import keys
from api.access.keys import Keys
from celery_app.settings import SettingsError


def line(name: str, key: str, rate: str = "") -> str:
    return f"{name} sha256:{sha256(key.encode()).hexdigest()} {rate}"


def write_file(folder: Path, *lines: str) -> Path:
    path = folder / "keys.txt"
    path.write_text("\n".join(lines))
    return path


def test_bearer_token_finds_its_key(tmp_path: Path) -> None:
    text = ("# ours", "", line("app", "secret", "50"), line("web", "other") + "  # theirs")
    found = Keys.read(write_file(tmp_path, *text))
    assert (key := found.find("Bearer secret")) is not None
    assert (key.name, key.rate) == ("app", 50.0)
    assert (key := found.find("bearer  other ")) is not None
    assert (key.name, key.rate) == ("web", None)


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic secret", "secret", "Bearer sécret"]
)
def test_unknown_token_finds_no_key(tmp_path: Path, given: str) -> None:
    assert Keys.read(write_file(tmp_path, line("app", "secret"))).find(given) is None


@pytest.mark.parametrize(
    "text",
    [
        "app secret",
        "app sha256:12",
        line("app", "a") + "fast",
        line("app", "a") + "\n" + line("app", "b"),
        line("app", "a") + "\n" + line("web", "a"),
        "# nothing",
        "",
    ],
)
def test_invalid_file_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Keys.read(write_file(tmp_path, text))
    assert "secret" not in str(refused.value)


#: Rates that the command and the API refuse.
BAD_RATES = ["0", "00", "0.0", "0.000", "0.0009", "1.0000", f"0.{'0' * 19}1", "1000000.001", "1e3"]
BAD_RATES += ["-1", "+1", "inf", "nan", "1_000", "\N{ARABIC-INDIC DIGIT FIVE}", ".5", "5."]
#: Rates that the command and the API accept.
GOOD_RATES = ["0.001", "1", "2.5", "050", "123456.789", "999999.999", "1000000"]


@pytest.mark.parametrize("rate", BAD_RATES)
def test_invalid_rate_is_refused_by_the_command_and_by_the_api(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: str
) -> None:
    reason = "0.001 to 1000000, with at most three decimals"
    with pytest.raises(SettingsError, match=reason):
        Keys.read(write_file(tmp_path, line("app", "a", rate)))
    with pytest.raises(SystemExit):
        keys.main(["app", "--", rate])
    output, error = capsys.readouterr()
    assert reason in error
    assert not output


@pytest.mark.parametrize("rate", GOOD_RATES)
def test_valid_rate_is_read_as_the_command_wrote_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: str
) -> None:
    assert keys.main(["app", rate]) == 0
    output, shown = capsys.readouterr()
    found = Keys.read(write_file(tmp_path, output)).find(f"Bearer {shown.split()[-1]}")
    assert found is not None
    assert found.rate == Decimal(rate)


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="can't be read"):
        Keys.read(tmp_path / "none")


def test_new_key_works_and_only_its_hash_is_stored(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert keys.main(["mobile-app", "2.5"]) == 0
    output, shown = capsys.readouterr()
    key = shown.split()[-1]
    assert key.startswith(keys.PREFIX)
    assert key not in output
    found = Keys.read(write_file(tmp_path, output)).find(f"Bearer {key}")
    assert found is not None
    assert (found.name, found.rate) == ("mobile-app", 2.5)


@pytest.mark.parametrize("arguments", [["two words"], ["#x"], ["x\n"], [""], ["x #"], ["x", ""]])
def test_arguments_that_no_file_could_hold_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    with pytest.raises(SystemExit):
        keys.main(arguments)
    assert not capsys.readouterr().out
