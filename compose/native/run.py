"""Runs all parts of Byline until Ctrl-C: ``python -m compose.native``, which is ``make run``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

from celery_app.settings import Settings, SettingsError
from compose.native.configuration import DIE_WITH_PARENT
from compose.native.control import Control
from compose.native.logs import NewLines
from compose.native.state import claimed
from compose.native.terminal import STDERR, StopSignal, say
from compose.parts.assembly import assemble
from compose.parts.errors import CannotRun
from compose.parts.health import HealthThread
from compose.parts.part import Part
from compose.parts.reachable import check_ports, check_redis
from compose.parts.serving import served_version

#: Seconds after which a vital part that is not ready is reported. Valkey may have much data to
#: read.
WELL_S = 120.0
#: Seconds for which the start waits for a part that is not vital.
MISSED_S = 30.0
#: Seconds between two checks of the parts while they start.
STARTING_S = 0.1
#: Seconds after which a line says again what the start waits for.
PROGRESS_S = 4.0
#: Seconds between two checks of the parts once they have started.
WATCH_S = 0.5
#: Seconds that the sample message may take on a busy machine, including the reading of the corpus.
SAMPLE_S = 45.0


def main(arguments: Sequence[str]) -> int:
    """Runs Byline until Ctrl-C, and returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m compose.native", description=__doc__)
    parser.add_argument(
        "--exporter",
        type=Path,
        default=Path(".venv-exporter/bin/python"),
        help="the Python that has celery-exporter installed (default: %(default)s)",
    )
    exporter = parser.parse_args(arguments).exporter
    try:
        stop = StopSignal()
        settings = Settings.from_environ(os.environ)
        settings.check_packages()
        if not exporter.exists():
            raise CannotRun(f"celery-exporter is not installed at {exporter}: use `make run`")
        for setting, url in (("REDIS", settings.redis_url), ("CACHE", settings.cache_url)):
            if url is not None:
                check_redis(f"BYLINE_{setting}_URL", url)
        with claimed(settings.state_dir) as (folder, lock, wait_s):
            check_ports(settings, wait_s)
            _run(settings, exporter, folder, lock, stop)
    except KeyboardInterrupt:
        say("byline: stopped")
    except (SettingsError, CannotRun, OSError) as error:  # OSError: the disk may be full
        say(f"byline: {error}", STDERR)
        return 1
    return 0


def _run(settings: Settings, exporter: Path, folder: Path, lock: int, stop: StopSignal) -> None:
    """Starts the parts of ``make run``, prints their addresses, and watches them until Ctrl-C."""
    begin = time.monotonic()
    parts, environ, client, api, words = assemble(settings, exporter, folder)
    with Control(parts, environ, folder, lock, stop) as control:
        _wait_for_all(control, parts)
        say(f"byline: all well after {time.monotonic() - begin:.1f} s; logs in {control.logs}\n")
        version, warning = served_version(client)
        say(f"{_table(parts, control.pids, version)}\n{words}\n")
        new_lines = NewLines(control.log(part.name) for part in parts)
        say(warning or _sample(control, new_lines, environ, api))
        say("byline: running; Ctrl-C stops everything")
        while True:
            _watch(control, new_lines)


class Clock:
    """Prints every ``PROGRESS_S`` seconds what the start waits for, and for how long already."""

    def __init__(self, what: str) -> None:
        self._what, self._begin = what, time.monotonic()
        self._next = self._begin + PROGRESS_S

    def tick(self) -> None:
        """Prints a line if ``PROGRESS_S`` seconds have passed since the last line.

        The caller has to call this method repeatedly while it waits.
        """
        if (now := time.monotonic()) >= self._next:
            self._next = now + PROGRESS_S
            say(f"byline: {self._what} … {now - self._begin:.0f} s")


def _wait_for_all(control: Control, parts: Sequence[Part]) -> None:
    """Waits until all vital parts are healthy, then at most ``MISSED_S`` seconds for the others.

    Byline can't work without its vital parts.

    Raises:
        SystemExit: supervisord or a vital part can't start.
    """
    asked = [HealthThread(part.healthy) for part in parts]
    begin = time.monotonic()
    try:
        for part, waiting in zip(parts, asked, strict=True):
            say(f"byline: waiting for {part.name} …")
            _wait(control, part, waiting, begin)
            # Each vital part has its own time limit. All other parts share one time limit.
            begin = time.monotonic() if part.vital else begin
    finally:
        for waiting in asked:
            waiting.end()


def _wait(control: Control, part: Part, waiting: HealthThread, begin: float) -> None:
    limit_s = WELL_S if part.vital else MISSED_S
    until = begin + limit_s
    clock = Clock(f"waiting for {part.name}")
    while not waiting.healthy.wait(STARTING_S):
        clock.tick()
        control.check()
        if words := control.start_failure():
            # Printed now, because stopping the parts takes seconds.
            say(f"byline: {words}\nbyline: stopping …", STDERR)
            raise SystemExit(1)
        late = time.monotonic() > until
        if late:
            until += limit_s
            log = control.log(part.name)
            say(f"byline: {part.name} is not ready after {limit_s:g} s; see {log}")
        if not part.vital and (late or part.name in control.given_up):
            return
    control.check()


def _watch(control: Control, new_lines: NewLines) -> None:
    """Restarts ended parts, prints the new log lines of all parts, and sleeps ``WATCH_S`` seconds.

    The terminal shows few lines, because the parts log few lines as long as nothing fails.
    """
    control.check()
    for name, line in new_lines.lines():
        say(f"{name:<9}| {line}")
    time.sleep(WATCH_S)


def _sample(control: Control, new_lines: NewLines, environ: dict[str, str], api: str) -> str:
    """Sends the sample messages from another process. Returns the result as a text for the user."""
    say("byline: sample messages …")
    clock = Clock("sample messages")
    reason = f"no answer within {SAMPLE_S:g} s"
    until = time.monotonic() + SAMPLE_S
    # To read the shipped models' corpus, the other process loads pandas, which takes a second. This
    # process has to watch the parts meanwhile.
    command = [sys.executable, "-X", "utf8", "-m", "compose.sample_message", api]
    try:
        with Popen(
            [*DIE_WITH_PARENT, str(os.getpid()), *command],
            env=environ,
            start_new_session=True,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=DEVNULL,
        ) as process:
            try:
                while (status := process.poll()) is None and time.monotonic() < until:
                    clock.tick()
                    _watch(control, new_lines)
            finally:
                process.kill()
            output = process.communicate()[0].decode(errors="replace").rstrip()
        if status == 0:
            return output
        if status is not None:
            reason = output or f"its process ended with status {status}"
    except OSError as error:  # the system may not be able to start a process
        reason = str(error)
    return f"byline: the sample message was not attributed: {reason}"


def _table(parts: Sequence[Part], pids: Mapping[str, int], version: str) -> str:
    rows = [("part", "pid", "where")]
    rows += [(p.name, str(pids.get(p.name, "–")), p.address or version) for p in parts]
    return "\n".join(f"  {name:<16}{pid:<9}{where}" for name, pid, where in rows)
