"""Runs all of Byline until told to stop: ``python -m compose.native``, which is ``make run``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Container, Iterable, Sequence
from pathlib import Path

import msgspec
from redis import Redis

from celery_app.settings import Settings, SettingsError
from compose.native import alertmanager, health, parts, prometheus
from compose.native.control import STOP_SIGNALS, Control
from compose.native.errors import CannotRun
from compose.native.greeting import Chosen, greet
from compose.native.logs import News
from compose.native.parts import Part
from compose.native.password import VARIABLE, flower_login
from compose.native.preflight import check_ports, check_redis, claimed
from tasks.rollout import Register

#: Seconds a part has to become well. Reading a large queue back, or warming a large model, takes.
WELL_S = 120.0
#: The same of a part that can be done without.
MISSED_S = 30.0
#: Seconds between two looks at what runs.
WATCH_S = 0.5
_ASIDE = (
    "byline: {current} is to be served, as somebody has said, and the workers here have {own}.\n"
    "        To serve that: .venv/bin/python -m celery_app.models serve {own}"
)


def main(arguments: Sequence[str]) -> int:
    """Run Byline; return the exit status."""
    options = _parser().parse_args(arguments)
    for number in STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        settings = Settings.from_environ(os.environ)
        _preflight(settings, options.exporter)
        with claimed(settings.state_dir) as folder:
            check_ports(settings)
            _run(settings, options.exporter, folder)
    except KeyboardInterrupt:
        _say("stopped")
        return 0
    except (SettingsError, CannotRun) as error:
        print(f"byline: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m compose.native", description=__doc__)
    parser.add_argument(
        "--exporter",
        type=Path,
        default=Path(".venv-exporter/bin/python"),
        metavar="PYTHON",
        help="the Python that has celery-exporter installed (default: %(default)s)",
    )
    return parser


def _preflight(settings: Settings, exporter: Path) -> None:
    if not exporter.exists():
        raise CannotRun(f"celery-exporter is not installed at {exporter}: use `make run`")
    for setting in ("redis_url", "cache_url"):
        url = getattr(settings, setting)
        if url is not None:
            check_redis(f"BYLINE_{setting.upper()}", url)


def _run(settings: Settings, exporter: Path, folder: Path) -> None:
    """Start the parts, show what runs where, and watch them until interrupted."""
    begin = time.monotonic()
    broker = [] if settings.redis_url else [parts.valkey(settings, folder)]
    settings = msgspec.structs.replace(
        settings, redis_url=settings.redis_url or parts.embedded_url(settings)
    )
    client = Redis.from_url(settings.broker, socket_timeout=health.ANSWER_S)
    login, found_in = flower_login(folder, os.environ)
    own_cache = bool(broker) and settings.cache_url is None
    found = prometheus.programs(settings)
    services = parts.services(settings, exporter, client, login, own_cache)
    told = ""
    if program := found.get("alertmanager"):
        try:
            teller, told = alertmanager.part(settings, folder / "alertmanager", program)
            services.append(teller)
        except alertmanager.Unfit as error:
            del found["alertmanager"]
            _say(f"alertmanager is not started: {error}")
    services += prometheus.parts(settings, folder / "prometheus", found)
    passage = Chosen(settings)
    try:
        environ = _environ(settings, login, found)
        with Control([*broker, *services], environ, folder) as control:
            _start(control, broker)
            _start(control, services)
            _say(f"all well after {time.monotonic() - begin:.1f} s; logs in {control.logs}\n")
            serves, words = _served(Register(client))
            print(_table([*broker, *services], control, serves), flush=True)
            print(f"  flower: {found_in}", flush=True)
            print(f"  alerts: {told}\n" if told else "", flush=True)
            news = News(control.log(part.name) for part in (*broker, *services))
            api = next(part.address for part in services if part.name == "api")
            print(words or greet(api, passage.get()), flush=True)
            _say("running; Ctrl-C stops everything")
            _watch(control, news)
    finally:
        passage.drop()


def _environ(settings: Settings, login: str, found: Container[str]) -> dict[str, str]:
    """What the parts find in their environment: ours, and what was decided here."""
    return {
        **os.environ,
        VARIABLE: os.environ.get(VARIABLE) or login,
        "BYLINE_REDIS_URL": settings.broker,
        "BYLINE_REDIS_PASSWORD_FILE": "",  # it is in the URL now
        "CE_BROKER_URL": settings.broker,
        prometheus.REDIS_VARIABLE: settings.broker,
        # The console links to what runs.
        **{
            f"BYLINE_{name.upper()}_PORT": str(getattr(settings, f"{name}_port"))
            if name in found
            else "0"
            for name in ("prometheus", "alertmanager")
        },
        "PYTHONUNBUFFERED": "1",  # so that what a part says last is in its log
    }


def _start(control: Control, group: Iterable[Part]) -> None:
    """Start parts that need not wait for each other; return when all are well.

    Raises:
        CannotRun: a vital one died, or is not well in time.
    """
    for part in group:
        control.start(part)
    for part in group:
        _say(f"waiting for {part.name} …")
        if part.vital:
            if not health.wait(part.healthy, WELL_S, control.check):
                raise CannotRun(_not_well(part, control, WELL_S))
        elif words := _missed(part, control):
            _say(words)


def _missed(part: Part, control: Control) -> str:
    """Wait for a part that can be done without; return why it is, empty where it is not."""

    def decided() -> bool:
        return part.healthy() or bool(control.lost(part))

    if not health.wait(decided, MISSED_S, control.check):
        return _not_well(part, control, MISSED_S)
    return control.lost(part)


def _not_well(part: Part, control: Control, seconds: float) -> str:
    return f"{part.name} is not well after {seconds:g} s; see {control.log(part.name)}"


def _watch(control: Control, news: News) -> None:
    """Show what the parts have to say, which is little while all is well; revive those that die."""
    while True:
        for name, line in news.lines():
            print(f"{name:<9}| {line}", flush=True)
        for words in control.revive():
            _say(words)
        control.wait(WATCH_S)


def _table(running: Iterable[Part], control: Control, serves: str) -> str:
    rows = [("part", "pid", "where")]
    pids = control.pids
    rows += [(p.name, str(pids.get(p.name, "–")), p.address or serves) for p in running]
    return "\n".join(f"  {name:<16}{pid:<9}{where}" for name, pid, where in rows)


def _served(register: Register) -> tuple[str, str]:
    """Return what the workers serve; and, where nobody is to ask them, words that say so."""
    served = register.look()
    assert served.rollout is not None  # workers have signed in
    current = served.rollout.current
    own = next(iter(version for version, workers in served.workers.items() if workers), current)
    words = "" if served.workers[current] else _ASIDE.format(current=current, own=own)
    announced = register.announcement(own)
    return f"{own} on {announced.device}" if announced else own, words


def _say(line: str) -> None:
    print(f"byline: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
