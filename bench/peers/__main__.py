"""Measures Byline and other serving systems on one machine in one session: ``make bench-peers``.

The systems run one after the other, with the same model and the same messages. Each result, except
the number of lost messages, is the median of the rounds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console

from bench.campaign import held_out
from bench.faults import loss
from bench.faults.loss import Loss
from bench.load import messages
from bench.load.scenario import Mix
from bench.peers.catalog import PEERS
from bench.peers.measurement_schedule import BYLINE, Figures, MeasurementSchedule
from bench.peers.systems import ENVIRONMENTS, PeerSystem
from bench.peers.table import show
from bench.system.system import NotRunning, Started

NAMES = (BYLINE, *(peer.name for peer in PEERS))


def main() -> int:
    """Measures Byline and the other serving systems (peers), and prints tables.

    Returns 2 if the virtual environment of a peer is missing.
    """
    options = _options()
    missing = [
        peer.folder
        for peer in PEERS
        if peer.name in options.systems and not (ENVIRONMENTS / peer.folder).exists()
    ]
    if missing:
        print(f"bench: no environment for {', '.join(missing)}: make bench-peers", file=sys.stderr)
        return 2
    console = Console()
    rounds: dict[str, list[Figures]] = {name: [] for name in options.systems}
    losses: dict[str, Loss | str] = {}
    with tempfile.TemporaryDirectory(prefix="byline-bench-") as path:
        folder = Path(path)
        passages = held_out(folder)
        for number in range(options.rounds):
            for name in _rotated(options.systems, number):
                console.print(f"round {number + 1}, {name} …")
                schedule = MeasurementSchedule(name, passages, options.seconds, console)
                try:
                    with _system(name, folder) as system:
                        rounds[name].append(schedule.run(system))
                    if not isinstance(losses.get(name), Loss):
                        # A new start, because requests of the schedule may still wait in a peer.
                        with _system(name, folder) as system:
                            losses[name] = _loss(system, passages)
                except (NotRunning, RuntimeError, OSError) as error:  # the other systems go on
                    console.print(f"{name}: {error}")
                    losses.setdefault(name, str(error))
                _write(options.out, rounds, losses)
    show(rounds, losses, console)
    return 0


def _rotated(systems: list[str], number: int) -> list[str]:
    start = (2 * number) % len(systems)
    return systems[start:] + systems[:start]


@contextmanager
def _system(name: str, folder: Path) -> Iterator[Any]:
    own = Path(tempfile.mkdtemp(dir=folder))
    if name == BYLINE:
        with Started(own, {}) as system:
            yield system
    else:
        peer = next(peer for peer in PEERS if peer.name == name)
        with PeerSystem(peer, own) as system:
            yield system


def _loss(system: Any, path: Path) -> Loss | str:
    passages = messages.read(path)
    drawn = messages.stream(passages, Mix(seed=99), int(time.time()))
    try:
        return loss.measure(system.target, drawn, passages, loss.kill(system.model_pids()))
    except RuntimeError as error:
        return str(error)


def _write(out: Path, rounds: dict[str, list[Figures]], losses: dict[str, Loss | str]) -> None:
    """Writes the figures to peers.json in the folder ``out``.

    The program calls this function after each measurement, so that the figures so far are kept if
    the program is interrupted.
    """
    out.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode({"rounds": rounds, "losses": losses}))
    (out / "peers.json").write_bytes(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each step (%(default)s)")
    parser.add_argument("--systems", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--out", type=Path, default=Path("bench-results"))
    return parser.parse_args()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # the systems are stopped by now
        print("byline: stopped", file=sys.stderr)
        sys.exit(130)
