"""Tests of scenarios: shipped scenarios are valid; each invalid one is refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.load import scenario
from bench.load.scenario import ScenarioError


@pytest.mark.parametrize("name", scenario.names())
def test_scenarios_that_come_with_byline_are_valid(name: str) -> None:
    assert scenario.load(name).title


def test_the_command_line_wins_over_the_file() -> None:
    steady = scenario.load("steady", {"rate": 40.0, "seconds": 2.0, "bulk": None})
    assert (steady.rate, steady.seconds, steady.bulk) == (40, 2, 1)


def test_bulk_requests_are_fewer_than_messages() -> None:
    assert scenario.load("steady", {"bulk": 50}).request_rate == 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("title = 'x'\nrate = -1", "Expected `float` > 0"),
        ("title = 'x'\nseconds = 100000", "<= 3600"),
        ("title = 'x'\nrepeat = 1", "repeat"),
        ("rate = 5", "title"),
        ("title =", "Invalid value"),
        ("title = 'x'\n[mix]\nrepeats = 1.5", "<= 1.0"),
        ("title = 'x'\n[limits]\np42_ms = 1", "p42_ms"),
    ],
)
def test_an_invalid_scenario_is_refused_with_a_reason(
    text: str, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(ScenarioError, match=r"own\.toml") as refused:
        scenario.load(str(path))
    assert words in str(refused.value)


def test_an_unknown_name_is_refused_with_the_known_names() -> None:
    with pytest.raises(ScenarioError, match=r"steady, .*unique"):
        scenario.load("stedy")
