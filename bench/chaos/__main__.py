"""Sends signals to each part of Byline while Byline starts, serves or stops: ``make chaos``.

After a signal, Byline has ten seconds to serve again. If Byline was asked to stop, it has ten
seconds to end without leaving a process or a file. Every accepted message has to be answered.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.chaos.cells import PHASES, SIGNALS, matrix
from bench.chaos.report import HEADER, overview, row, table
from bench.chaos.strikes import WITHIN_S, Result, Strikes
from bench.system.system import status


def main() -> int:
    """Runs the cases that the command line asks for, and prints their results.

    Returns 1 if a case fails.
    """
    options = _options()
    # SIGTERM is handled like Ctrl-C, so that the system under test is stopped as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console()
    begin = time.monotonic()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="byline-chaos-") as folder:
        strikes = Strikes(Path(folder), options.within)
        try:
            cells = [
                cell
                for cell in matrix(strikes.prepare())
                if cell.part in (options.only or (cell.part,))
                and cell.phase in (options.phase or PHASES)
                and cell.signal in (options.signal or SIGNALS)
            ]
            console.print(HEADER, soft_wrap=True)
            for cell in cells:
                logs = options.logs / f"{cell.part}-{cell.phase}-{cell.signal}"
                results.append(strikes.strike(cell, logs))
                console.print(row(results[-1]), soft_wrap=True, markup=False, highlight=False)
        finally:
            strikes.close()
    failed = [result for result in results if result.complaints]
    minutes, load = (time.monotonic() - begin) / 60, os.getloadavg()[2]
    words = f"{len(results)} strikes in {minutes:.0f} minutes, at a load of {load:.1f} on "
    console.print(f"\n{words}{os.cpu_count()} cores; {len(failed)} failed")
    console.print(f"logs in {options.logs}" if failed else "")
    console.print(table(failed) if failed else "", soft_wrap=True, markup=False, highlight=False)
    console.print(overview(results), soft_wrap=True, markup=False, highlight=False)
    return 1 if failed or not results else 0


def _options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    parser.add_argument("--only", nargs="+", metavar="PART", help="these parts")
    parser.add_argument("--phase", nargs="+", choices=PHASES, help="these phases")
    parser.add_argument("--signal", nargs="+", choices=SIGNALS, help="these signals")
    parser.add_argument(
        "--within", type=float, default=WITHIN_S, help="seconds to serve again (%(default)g)"
    )
    parser.add_argument(
        "--logs",
        type=Path,
        default=Path("bench-results/chaos"),
        help="where the logs of what failed are kept (%(default)s)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(status("chaos", main))
