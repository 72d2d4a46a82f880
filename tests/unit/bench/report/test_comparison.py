"""Tests of the comparison of two runs: ratios, verdicts, and warnings."""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from bench.load.scenario import Mix, Scenario
from bench.report import comparison
from bench.report.results import Generator, Run, write
from tests.unit.bench.runs import LATENCY, MACHINE, QUALITY, bare_run, run, totals


def figure(name: str, before: Run, after: Run) -> comparison.Figure:
    (found,) = [each for each in comparison.compare(before, after) if each.name.strip() == name]
    return found


def shown(before: Run, after: Run) -> str:
    console = Console(file=io.StringIO(), width=200)
    comparison.show(before, after, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_compares_every_figure() -> None:
    names = [each.name.strip() for each in comparison.compare(run(), run())]
    assert names == [
        *("throughput", "P50", "P95", "P99", "longest", "failed", "memory (PSS)"),
        *("worker", "api", "accuracy", "generator's CPU"),
    ]


@pytest.mark.parametrize(
    ("name", "changes", "ratio", "verdict"),
    [
        ("throughput", {"totals": totals(throughput=980.0)}, 2.0, "better"),
        ("throughput", {"totals": totals(throughput=245.0)}, 0.5, "worse"),
        ("P50", {"latency": replace(LATENCY, p50_ms=25.0)}, 2.0, "worse"),
        ("P95", {"latency": replace(LATENCY, p95_ms=15.75)}, 0.5, "better"),
        ("P99", {"latency": replace(LATENCY, p99_ms=95.0)}, 2.0, "worse"),
        ("longest", {"latency": replace(LATENCY, max_ms=617.0)}, 0.5, "better"),
        ("failed", {"totals": totals(failed={"overloaded": 60})}, 2.0, "worse"),
        ("memory (PSS)", {"pss": {"worker": 110_000_000, "api": 60_000_000}}, 0.5, "better"),
        ("worker", {"pss": {"worker": 140_000_000}}, 0.5, "better"),
        ("generator's CPU", {"generator": Generator(0.4, 0.0)}, 2.0, ""),
    ],
)
def test_ratio_and_verdict(
    name: str, changes: dict[str, object], ratio: float, verdict: str
) -> None:
    found = figure(name, run(), run(**changes))
    assert found.ratio == pytest.approx(ratio)
    assert found.verdict == verdict


def test_a_difference_of_a_per_cent_is_called_the_same() -> None:
    found = figure("throughput", run(), run(totals=totals(throughput=495.0)))
    assert found.verdict == "same"
    assert found.ratio == pytest.approx(1.0102, abs=1e-4)
    assert figure("throughput", run(), run(totals=totals(throughput=501.0))).verdict == "better"


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [((0.588, 0.60, 0.612), "same"), ((0.59, 0.60, 0.61), "better"), ((0.5, 0.53, 0.56), "worse")],
)
def test_accuracy_differs_where_the_intervals_are_apart(
    interval: tuple[float, float, float], verdict: str
) -> None:
    low, value, high = interval
    quality = replace(QUALITY, accuracy_low=low, accuracy=value, accuracy_high=high)
    assert figure("accuracy", run(), run(quality=quality)).verdict == verdict


def test_failures_after_none_are_worse_without_a_ratio() -> None:
    found = figure("failed", run(totals=totals(failed={})), run())
    assert (found.ratio, found.verdict) == (None, "worse")
    assert figure("failed", run(totals=totals(failed={})), bare_run()).verdict == "same"


def test_failures_are_compared_by_share() -> None:
    longer = totals(sent=3000, failed={"overloaded": 60})
    assert figure("failed", run(), run(totals=longer)).verdict == "same"


@pytest.mark.parametrize("name", ["P50", "longest", "memory (PSS)", "worker", "accuracy"])
def test_a_figure_that_a_run_lacks_is_neither_zero_nor_better(name: str) -> None:
    for pair in ((run(), bare_run()), (bare_run(), run())):
        found = figure(name, *pair)
        assert None in (found.before, found.after)
        assert (found.ratio, found.verdict) == (None, "")
    assert "–" in shown(run(), bare_run())


def test_a_part_of_only_one_run_is_listed() -> None:
    found = figure("cache", run(), run(pss={"cache": 20_000_000}))
    assert (found.before, found.after, found.verdict) == (None, 20.0, "")


def test_like_runs_can_be_compared() -> None:
    assert comparison.obstacles(run(), run()) == []
    assert "WARNING" not in shown(run(), run())


def test_another_title_or_limit_is_the_same_load() -> None:
    scenario = replace(run().scenario, title="Other words", limits={})
    assert comparison.obstacles(run(), run(scenario=scenario)) == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scenario": Scenario(title="", rate=800.0)}, "scenarios differ: rate 500.0 and 800.0"),
        ({"scenario": Scenario(title="")}, "scenarios differ: rate 500.0 and unset"),
        (
            {"scenario": Scenario(title="", rate=500.0, mix=Mix(repeats=0.5))},
            "scenarios differ: mix repeats=0.0",
        ),
        ({"machine": replace(MACHINE, cores=8)}, "machines differ: cores 2 and 8"),
        ({"machine": replace(MACHINE, processor="X")}, "machines differ: processor Test CPU and X"),
        ({"model_version": "v2"}, "versions differ: ngram-1-abc and v2"),
        ({"model_version": None}, "versions differ: ngram-1-abc and unset"),
        ({"interrupted": True}, "In the run after: The run was interrupted"),
        ({"generator": Generator(0.9, 0.0)}, "In the run after: The load generator used"),
    ],
)
def test_runs_that_can_not_be_compared_give_a_warning(
    changes: dict[str, object], words: str
) -> None:
    (obstacle,) = comparison.obstacles(run(), run(**changes))
    assert words in obstacle
    assert f"WARNING: {obstacle}" in shown(run(), run(**changes))


def test_shows_both_values_and_the_ratio() -> None:
    lines = shown(run(), run(latency=replace(LATENCY, p95_ms=63.0))).splitlines()
    (line,) = [line for line in lines if "P95" in line]
    assert [cell.strip() for cell in line.split("│")[1:-1]] == [
        *("P95", "31.50 ms", "63.00 ms", "2.00", "worse")
    ]


def test_compares_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [tmp_path / "a.json", tmp_path / "b.json"]
    for path in paths:
        write(run(), path)
    assert comparison.main([str(path) for path in paths]) == 0
    assert "490.0 msg/s" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[1]", b"\xff\xfe", b"<html>", "format"])
def test_a_file_that_is_no_report_gives_exit_status_2_and_its_name(
    content: bytes | str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    write(run(), good)
    if isinstance(content, str):
        content = msgspec.json.encode(run(format=99))
    if content is not None:
        bad.write_bytes(content)
    with pytest.raises(SystemExit) as exited:
        comparison.main([str(good), str(bad)])
    assert exited.value.code == 2
    captured = capsys.readouterr()
    assert "bad.json" in captured.err
    assert captured.out == ""
