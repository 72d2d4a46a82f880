"""Tests of a run's table on the terminal: its figures and its warnings."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from bench.load.scenario import Mix, Scenario
from bench.report import terminal
from bench.report.results import Generator, Run
from tests.unit.bench.runs import QUALITY, bare_run, run, totals


def shown(one: Run) -> str:
    console = Console(file=io.StringIO(), width=200)
    terminal.show(one, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize(
    "figure",
    [
        "steady · Byline",
        "A steady load",
        "open loop, 500 msg/s",
        "490.0 msg/s",
        "1,470 of 1,500 sent (98.00 %)",
        "300 (20.41 %)",
        "30 of 1,500 sent (2.00 %)",
        "27 overloaded",
        "3 timeout",
        "P50 12.5 ms, P90 20.0 ms, P95 31.5 ms, P99 47.5 ms, P99.9 80.0 ms, max 1,234 ms",
        "0.575, 95 % interval 0.561 to 0.589; the card's is 0.580: they agree",
        "340 MB at the peak: worker 280 MB, api 60 MB",
        "0.20 cores, P99 0.40 ms late",
        "Every limit was kept.",
        "The run was not interrupted",
    ],
)
def test_shows(figure: str) -> None:
    assert figure in shown(run())


def test_an_undisturbed_run_has_no_warning() -> None:
    assert terminal.warnings(run()) == []
    assert "WARNING" not in shown(run())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"generator": Generator(cpu=0.51, late_p99_ms=0.0)}, "used 0.51 cores"),
        ({"generator": Generator(cpu=0.1, late_p99_ms=5.1)}, "left late"),
        ({"interrupted": True, "seconds": 7.0}, "interrupted: 7 s of 30 s"),
        ({"quality": msgspec.structs.replace(QUALITY, agrees=False)}, "more than chance allows"),
    ],
)
def test_warns(changes: dict[str, object], words: str) -> None:
    (warning,) = terminal.warnings(run(**changes))
    assert words in warning
    assert f"WARNING: {warning}" in shown(run(**changes))


def test_a_generator_just_within_its_limits_gives_no_warning() -> None:
    assert terminal.warnings(run(generator=Generator(cpu=0.5, late_p99_ms=5.0))) == []


def test_a_run_with_broken_limits_names_them_and_praises_none() -> None:
    text = shown(run(broken_limits=["p95_ms is 61, at most 50 is allowed"]))
    assert "LIMIT BROKEN: p95_ms is 61, at most 50 is allowed" in text
    assert "Every limit was kept" not in text


def test_an_interrupted_run_is_not_called_uninterrupted() -> None:
    assert "was not interrupted" not in shown(run(interrupted=True))


def test_without_an_answer_there_is_no_latency() -> None:
    text = shown(bare_run())
    assert "none: nothing was answered" in text
    assert "P50" not in text
    assert text.count("not measured") == 2


def test_disagreement_with_the_card_is_stated() -> None:
    assert terminal.agreement(msgspec.structs.replace(QUALITY, agrees=False)).endswith("not agree")
    without = msgspec.structs.replace(QUALITY, card_accuracy=None, agrees=None)
    assert "none to compare with" in terminal.agreement(without)


def test_text_that_looks_like_markup_is_shown_literally() -> None:
    odd = run(
        scenario=Scenario(title="[bold]not bold[/nothing] :smile:"),
        totals=totals(failed={"[/red]": 1}),
    )
    assert "[bold]not bold[/nothing] :smile:" in shown(odd)
    assert "1 [/red]" in shown(odd)


def test_batch_sizes_are_ordered_ranges() -> None:
    batches = {"+Inf": 1, "8": 4, "1": 9, "2": 0, "16": 2}
    assert terminal.batch_sizes(batches) == [
        ("1", 9),
        ("2", 0),
        ("3–8", 4),
        ("9–16", 2),
        ("17+", 1),
    ]


def test_bars_of_batch_sizes_are_proportional_and_a_single_batch_stays_visible() -> None:
    lines = shown(run(batches={"1": 1000, "2": 500, "4": 1, "8": 0})).splitlines()
    bars = [line for line in lines if "█" in line or "▏" in line]
    assert [line.count("█") for line in bars] == [30, 15, 0]
    assert "▏" in bars[2]


@pytest.mark.parametrize("batches", [None, {}, {"1": 0}])
def test_a_run_without_batches_is_described_as_such(batches: dict[str, int] | None) -> None:
    assert "none known" in shown(run(batches=batches))


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        (Scenario(title=""), "closed loop, 64 connections; single messages over HTTP; 30 s after"),
        (Scenario(title="", rate=2_000_000), "open loop, 2,000,000 msg/s, at most 64"),
        (Scenario(title="", bulk=32, way="celery"), "32 messages a request as Celery tasks"),
    ],
)
def test_a_load_in_words(scenario: Scenario, words: str) -> None:
    assert words in terminal.load(scenario)


def test_a_mix_in_words() -> None:
    assert terminal.messages(Mix()) == "every message is new"
    mixed = terminal.messages(Mix(repeats=0.25, exponent=1.1, population=2000))
    assert mixed == "25 % drawn from 2,000 (Zipf, exponent 1.1), every other one is new"


@pytest.mark.parametrize(
    ("value", "words"), [(0.354, "0.35 ms"), (12.345, "12.3 ms"), (1234.5, "1,234 ms")]
)
def test_milliseconds_keep_about_three_digits(value: float, words: str) -> None:
    assert terminal.milliseconds(value) == words


def test_a_share_of_nothing_is_no_number() -> None:
    assert terminal.share(0, 0) == "–"
