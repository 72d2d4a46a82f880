"""Versions of the model, and which of them is served: ``python -m celery_app.models list``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis import RedisError

from celery_app.connections import connect
from celery_app.settings import Settings, SettingsError
from tasks.rollout import Rollout, ServedVersions, WorkerRegistry

#: Seconds within which every api process has noticed.
NOTICED_S = 1


class Refused(Exception):
    """It would leave messages without a worker, or makes no sense."""


@dataclass(frozen=True, slots=True)
class Change:
    """Changes of a rollout, by what was served when they were asked for."""

    served: ServedVersions

    def serve(self, version: str) -> Rollout:
        """Send all new messages to ``version``."""
        self._must_live(version)
        current = self._current
        if version == current.current:
            return Rollout(version, previous=current.previous, told=True)
        return Rollout(version, previous=current.current, told=True)

    def share(self, version: str, share: float) -> Rollout:
        """Send a share of the new messages to ``version``; 0: none any more."""
        current = self._current
        if not 0 <= share < 1:
            raise Refused("a share is a number from 0 to less than 1; for all of them, say serve")
        if version == current.current:
            raise Refused(f"{version} is served: name the other version")
        if not share and version != current.canary:
            raise Refused(f"{version} is no canary")
        if not share:
            return Rollout(current.current, previous=current.previous, told=True)
        self._must_live(version)
        return Rollout(current.current, version, share, current.previous, told=True)

    def back(self) -> Rollout:
        """Undo: end the canary; where there is none, serve what was served before."""
        current = self._current
        if current.canary is not None:
            return Rollout(current.current, previous=current.previous, told=True)
        if current.previous is None:
            raise Refused(f"nothing was served before {current.current}")
        return self.serve(current.previous)

    def follow(self) -> Rollout:
        """Serve what workers serve, as if nobody had ever said anything."""
        return Rollout(self._current.current, previous=self._current.previous)

    @property
    def _current(self) -> Rollout:
        if self.served.rollout is None:
            raise Refused("no worker has ever signed in")
        return self.served.rollout

    def _must_live(self, version: str) -> None:
        if not self.served.workers.get(version):
            living = ", ".join(v for v, workers in self.served.workers.items() if workers)
            raise Refused(f"no worker serves {version}; alive: {living or 'none'}")


def main(arguments: Sequence[str]) -> int:
    """Do as told. Returns the exit status: 1 where that is refused, 2 for bad input."""
    options = _options(arguments)
    try:
        worker_registry = WorkerRegistry(connect(Settings.from_environ(os.environ).broker))
        if options.command != "list":
            served = worker_registry.look()
            worker_registry.change(
                lambda now: _asked(options)(Change(served._replace(rollout=now)))
            )
        print(table(worker_registry.look()))
    except Refused as error:
        print(f"byline: {error}", file=sys.stderr)
        return 1
    except (SettingsError, RedisError) as error:
        print(f"byline: {error}", file=sys.stderr)
        return 2
    return 0


def _asked(options: argparse.Namespace) -> Callable[[Change], Rollout]:
    if options.command == "serve":
        return lambda change: change.serve(options.version)
    if options.command == "share":
        return lambda change: change.share(options.version, options.share)
    return Change.back if options.command == "back" else Change.follow


def table(served: ServedVersions) -> str:
    """Return what is served, a line for each version, and who decides."""
    rollout = served.rollout
    if rollout is None:
        return "no worker has ever signed in"
    shares = {rollout.current: 1 - rollout.share}
    if rollout.canary is not None:
        shares[rollout.canary] = rollout.share
    versions = sorted({**served.workers, **shares}, key=lambda v: (-shares.get(v, 0.0), v))
    rows = [("version", "workers", "share of new messages")]
    rows += [(v, str(served.workers.get(v, 0)), f"{shares.get(v, 0.0):.1%}") for v in versions]
    wide = max(len(version) for version, _, _ in rows)
    lines = [f"{version:<{wide}}  {workers:>7}  {share}" for version, workers, share in rows]
    return "\n".join([*lines, "", *_notes(rollout)])


def _notes(rollout: Rollout) -> list[str]:
    if not rollout.told:
        return ["nobody has said what is to be served: it stays as it is while its workers live"]
    notes = ["as somebody said; it changes where somebody says so (follow: with the workers)"]
    if rollout.previous is not None:
        notes.append(f"before: {rollout.previous}")
    return notes


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m celery_app.models",
        description="Versions of the model: which of them new messages go to. Each api process "
        f"notices within {NOTICED_S} second.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="all that have workers, or had some a day ago")
    serve = commands.add_parser("serve", help="send all new messages to a version")
    share = commands.add_parser("share", help="send some of them to a version, a canary")
    for command in (serve, share):
        command.add_argument("version")
    share.add_argument("share", type=float, help="0.05 is one in twenty; 0 ends it")
    commands.add_parser("back", help="end the canary, or serve what was served before")
    commands.add_parser("follow", help="serve what workers serve, as before anybody said anything")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
