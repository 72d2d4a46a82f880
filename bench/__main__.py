"""Load tests of Byline: ``make bench``, or ``python -m bench [SCENARIO …]``."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.campaign import held_out, run
from bench.load import scenario
from bench.load.beside import MEASURED, write_keys
from bench.load.scenario import Scenario, ScenarioError
from bench.report import html_report, results, terminal
from bench.report.progress import Line
from bench.report.results import Run
from bench.report.summary import Observed
from bench.system.system import NotRunning, Running, Started

#: Scenarios that run if the command line names no scenario: one measures a steady rate, and three
#: measure the highest rate.
DEFAULT = ("steady", "unique", "zipf", "bulk")


def main(arguments: list[str]) -> int:
    """Runs the scenarios that the command line names, and writes the reports.

    Returns 2 after an error, 130 if Ctrl-C ended a run, 1 if a run broke a limit, and otherwise 0.
    """
    options = _parser().parse_args(arguments)
    console = Console()
    runs: list[Run] = []
    try:
        chosen = _chosen(options)
        _refuse_elsewhere(options)
        _run_all(chosen, options, console, runs)
    except (ScenarioError, NotRunning, RuntimeError, ValueError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    finally:  # the reports of finished runs are written even after an error
        if runs:
            _write(runs, options.out, console)
    if any(run.interrupted for run in runs):
        return 130
    return 1 if any(run.broken_limits for run in runs) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Puts a load on Byline and reports latency, throughput, memory and quality.",
        epilog=f"Scenarios: {', '.join(scenario.names())}; or a .toml file. Each starts Byline "
        "anew, with an empty cache, on ports of its own.",
    )
    parser.add_argument("scenarios", nargs="*", default=list(DEFAULT), metavar="SCENARIO")
    parser.add_argument("--url", help="load this api instead of one started for the run")
    parser.add_argument("--anywhere", action="store_true", help="--url may be another machine")
    parser.add_argument("--messages", type=Path, help="a .jsonl with text and author, to be sent")
    parser.add_argument(
        "--out", type=Path, default=Path("bench-results"), help="folder (%(default)s)"
    )
    parser.add_argument("--rate", type=float, help="messages/s, instead of the scenario's")
    parser.add_argument("--connections", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--bulk", type=int)
    parser.add_argument("--model", help="as BYLINE_MODEL")
    return parser


def _chosen(options: argparse.Namespace) -> dict[str, Scenario]:
    """Returns the scenarios to run, as a mapping from name to scenario.

    Each name is unique, because the name of a report's file contains it. So if the command line
    names ``steady`` twice, the second ``steady`` gets the name ``steady#2``.
    """
    chosen: dict[str, Scenario] = {}
    for given in options.scenarios:
        stem = Path(given).stem
        taken = sum(name.partition("#")[0] == stem for name in chosen)
        chosen[f"{stem}#{taken + 1}" if taken else stem] = scenario.load(given, _changes(options))
    return chosen


def _changes(options: argparse.Namespace) -> dict[str, Any]:
    return {
        name: getattr(options, name) for name in ("rate", "connections", "seconds", "bulk", "model")
    }


def _refuse_elsewhere(options: argparse.Namespace) -> None:
    """Raises ScenarioError if ``--url`` is on another machine, unless ``--anywhere`` allows it.

    Without this check, a wrong URL could put the load on another person's machine.
    """
    if options.url is None or options.anywhere:
        return
    host = Running(options.url).target.host
    if host not in ("localhost", "::1") and not host.startswith("127."):
        raise ScenarioError(
            f"{options.url} is not this machine; --anywhere, if it is yours to load"
        )


def _run_all(
    chosen: dict[str, Scenario], options: argparse.Namespace, console: Console, runs: list[Run]
) -> None:
    with tempfile.TemporaryDirectory(prefix="byline-bench-") as path:
        folder = Path(path)
        passages = options.messages or held_out(folder)
        for name, wanted in chosen.items():
            with _system(wanted, options, folder) as system, Line(console, name, wanted) as line:
                model = system.model()
                observed = Observed("Byline", model.get("card"), model.get("device"))
                done = run(name, wanted, system, observed, passages, line.show)
            runs.append(done)
            terminal.show(done, console)
            if done.interrupted:
                break


def _system(wanted: Scenario, options: argparse.Namespace, folder: Path) -> Running:
    if options.url is not None:
        if wanted.beside is not None:
            raise ScenarioError(
                "a scenario with two keys starts Byline with them: it takes no --url"
            )
        return Running(options.url)
    own = Path(tempfile.mkdtemp(dir=folder))
    settings = {"BYLINE_MODEL": wanted.model, **wanted.settings}
    if wanted.beside is None:
        return Started(own, settings)
    return Started(own, {"BYLINE_KEYS_FILE": str(write_keys(own)), **settings}, MEASURED)


def _write(runs: list[Run], out: Path, console: Console) -> None:
    out.mkdir(parents=True, exist_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for one in runs:
        results.write(one, out / f"{stamp}-{one.name}.json")
    page = out / f"{stamp}.html"
    html_report.write(runs, page)
    console.print(f"report: {page}; the figures: {out}/{stamp}-*.json")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
