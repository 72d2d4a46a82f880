"""A strike, and what follows from it."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.chaos.cells import BEFORE, DAEMON, RUNNER, STOPPING, VITAL, Cell
from bench.chaos.ledger import Ledger, light_load
from bench.chaos.trial import LOOK_S, STOPS_S, Trial
from bench.faults.fault_injection import LASTS_S
from bench.system.system import NotRunning

#: Seconds within which it serves again, or has ended, from the end of the strike.
WITHIN_S = 10.0
#: Seconds that are waited for that, so that one that takes longer has a figure too.
PATIENCE_S = 120.0
#: Seconds of load before a strike.
LOADED_S = 1.0
#: Messages that are promised, and not yet answered, when a system is started in a cell.
BACKLOG = 64


@dataclass(slots=True)
class Result:
    """What a strike did."""

    cell: Cell
    #: Seconds from its end until the system served again; where it had to end, until it had.
    served_s: float | None = None
    #: Seconds until every part was there again, the watching ones included.
    whole_s: float | None = None
    #: Messages that were accepted.
    accepted: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    #: What is wrong, in words.
    complaints: list[str] = field(default_factory=list)


class Strikes:
    """Strikes cell after cell, on a system that is started when a cell needs another."""

    def __init__(self, folder: Path, within_s: float = WITHIN_S) -> None:
        self._folder = folder
        self._within_s = within_s
        self._trials = 0
        self._trial: Trial | None = None
        #: What the first system had kept when it ended: the state that starts begin with.
        self._kept: Path | None = None
        self._promised = Ledger()
        self._parts: list[str] = []

    def parts(self) -> list[str]:
        """Starts and stop once; returns the parts that there are. Leaves messages unanswered."""
        trial = self._running()
        trial.wait_until_up()
        pids = trial.pids()
        self._parts = [part for part in pids if part not in (RUNNER, DAEMON)]
        os.kill(pids["worker"], signal.SIGSTOP)
        for _ in range(BACKLOG):
            self._promised.send(trial.target, wait_s=0)
        if self._promised.failed or len(self._promised.accepted) != BACKLOG:
            raise NotRunning(f"a backlog was refused: {dict(self._promised.failed)}")
        self.close()
        self._kept = trial.state
        return self._parts

    def strike(self, cell: Cell, logs: Path) -> Result:
        """Strike, and see what follows. ``logs``: where those of a system that failed are kept."""
        result = Result(cell)
        try:
            if cell.phase in BEFORE:
                self._before(cell, result)
            else:
                self._serving(cell, result)
        except NotRunning as error:
            result.complaints.append(str(error))
        if result.complaints:
            self._discard(logs)
        return result

    def close(self) -> None:
        """Ends the system that is there."""
        trial, self._trial = self._trial, None
        if trial is not None:
            trial.__exit__(None, None, None)
            trial.kill()

    def _discard(self, logs: Path) -> None:
        """Ends the system that is there, but keep its logs; the next cell has another."""
        trial, self._trial = self._trial, None
        assert trial is not None
        trial.kill()
        shutil.rmtree(logs, ignore_errors=True)
        if (trial.state / "logs").exists():  # else it ended before it wrote any
            shutil.copytree(trial.state / "logs", logs)
        logs.mkdir(parents=True, exist_ok=True)
        (logs / "make-run.log").write_text(trial.output)

    def _before(self, cell: Cell, result: Result) -> None:
        """Strikes a system that starts, and has messages that were promised before."""
        self.close()
        trial = self._trial = self._new()
        assert self._kept is not None
        trial.take_state(self._kept)
        trial.launch()
        self._struck(cell, trial, result)
        self._account(cell, trial, result, self._promised)
        self._end(trial, result)

    def _serving(self, cell: Cell, result: Result) -> None:
        """Strikes a system that serves, or that was just told to stop, under a light load."""
        trial = self._trial = self._running()
        trial.wait_until_up()
        ledger = Ledger()
        with light_load(trial.target, ledger):
            time.sleep(LOADED_S)  # into the load
            self._struck(cell, trial, result)
        self._account(cell, trial, result, ledger)
        if cell.started_by_hand:  # what it left behind has to be cleared by now
            self._end(trial, result)

    def _end(self, trial: Trial, result: Result) -> None:
        trial.wait_until_up()
        trial.interrupt()
        self._see_it_end(trial, 0, time.monotonic(), result)

    def _running(self) -> Trial:
        if self._trial is not None and self._trial.status is None:
            return self._trial
        trial = self._trial = self._new()
        trial.launch()
        return trial

    def _new(self) -> Trial:
        self._trials += 1
        return Trial(self._folder / str(self._trials))

    def _struck(self, cell: Cell, trial: Trial, result: Result) -> None:
        """Strikes when the phase has come, and time what follows."""
        pid = trial.moment(cell.phase, cell.part)
        if cell.phase == STOPPING:
            trial.interrupt()
            time.sleep(STOPS_S)  # into the stop
        before = trial.pids()
        hit(pid, cell.signal)
        since = time.monotonic()
        if cell.ends:
            result.served_s = self._see_it_end(trial, cell.exit_status, since, result)
            return
        if cell.started_by_hand:
            trial.launch()
        self._see_it_serve(cell, trial, before, since, result)

    def _account(self, cell: Cell, trial: Trial, result: Result, ledger: Ledger) -> None:
        """See that all that was accepted is answered, after another start where it has ended."""
        if trial.status is not None:
            trial.launch()
            trial.wait_until_up()
        result.accepted = len(ledger.accepted)
        result.lost = ledger.missing(trial.target)
        if result.lost:
            result.complaints.append(f"accepted, and never answered: {dict(result.lost)}")
        for reason, count in ledger.failed.items():
            if reason not in cell.honest:
                result.complaints.append(f"{count} {reason}: no reason that a client may be given")
        if "\nTraceback" in trial.output:  # its own; what parts say has their names before it
            result.complaints.append("the runner printed a traceback")

    def _see_it_serve(
        self, cell: Cell, trial: Trial, before: Mapping[str, int], since: float, result: Result
    ) -> None:
        """Time until it serves, and until all parts are there.

        Raises:
            NotRunning: the runner has ended, or it does neither.
        """
        missing = ["an answer"]
        while time.monotonic() < since + PATIENCE_S:
            if trial.status is not None:
                raise NotRunning(f"{trial.end} before it served again")
            now = trial.pids()
            old = [part for part in cell.replaced if now.get(part) in (None, before.get(part))]
            if result.served_s is None:
                if not VITAL.intersection(old) and trial.serves():
                    result.served_s = time.monotonic() - since
                    if result.served_s > self._within_s:
                        words = f"served again after {result.served_s:.1f} s"
                        result.complaints.append(f"{words}, not within {self._within_s:g} s")
            elif not (missing := [*old, *(set(self._parts) - set(now)), *trial.deaf()]):
                result.whole_s = time.monotonic() - since
                return
            time.sleep(LOOK_S)  # between two looks, until the deadline
        raise NotRunning(f"after {PATIENCE_S:g} s still missing: {', '.join(missing)}")

    def _see_it_end(
        self, trial: Trial, exit_status: int, since: float, result: Result
    ) -> float | None:
        """Time until the runner has ended, and all else; note what it leaves behind."""
        while time.monotonic() < since + PATIENCE_S:
            if trial.status is not None and not trial.processes():
                break
            time.sleep(LOOK_S)  # between two looks, until the deadline
        took = time.monotonic() - since
        if took > self._within_s:
            words = f"ended after {took:.1f} s, not within {self._within_s:g} s"
            result.complaints.append(words)
        if trial.status != exit_status:
            result.complaints.append(f"exit status {trial.status}, and not {exit_status}")
        # One that was killed itself can't clear up: the next one does.
        if exit_status == 0 and (left := trial.left_behind()):
            result.complaints.append(f"left behind: {'; '.join(left)}")
        return took


def hit(pid: int, name: str) -> None:
    """Sends a signal; a process that is stopped goes on after a while, which is waited for."""
    with suppress(ProcessLookupError):  # it ended by itself, as everything does while it stops
        os.kill(pid, signal.Signals[f"SIG{name}"])
    if name == "STOP":
        time.sleep(LASTS_S)  # the strike itself
        with suppress(ProcessLookupError):  # it was killed meanwhile
            os.kill(pid, signal.SIGCONT)
