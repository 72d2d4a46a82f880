"""The command for model versions, ``python -m celery_app.models``.

Its subcommands are ``list``, ``serve``, ``share``, ``promote``, ``back`` and ``follow``.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis import RedisError

from celery_app.connections import connect, in_words
from celery_app.settings import Settings, SettingsError
from tasks.rollout import Rollout, ServedVersions, WorkerRegistry

#: Within this many seconds after a change, every api process uses the new rollout.
NOTICED_S = 1


class Refused(Exception):
    """The requested change of the rollout (which model version gets new messages) is refused.

    For example, no worker serves the requested version, or the requested share is 1 or more.
    """


@dataclass(frozen=True, slots=True)
class Change:
    """Computes a new rollout (which version gets new messages) from the versions served now."""

    served: ServedVersions

    def serve(self, version: str) -> Rollout:
        """Returns a rollout that sends all new messages to ``version``."""
        self._check_has_workers(version)
        current = self._current
        if version == current.current:
            return Rollout(version, previous=current.previous, set_by_operator=True)
        return Rollout(version, previous=current.current, set_by_operator=True)

    def share(self, version: str, share: float) -> Rollout:
        """Returns a rollout that sends a share of the new messages to ``version``.

        This version is called the canary. A share of 0 removes the canary.
        """
        current = self._current
        if not 0 <= share < 1:
            raise Refused(
                "a share is a number from 0 to less than 1, or below 100%; to send all messages, "
                "promote the canary, or serve a version"
            )
        if version == current.current:
            raise Refused(f"{version} is served: name the other version")
        if not share and version != current.canary:
            raise Refused(f"{version} is no canary")
        if not share:
            return Rollout(current.current, previous=current.previous, set_by_operator=True)
        self._check_has_workers(version)
        return Rollout(current.current, version, share, current.previous, set_by_operator=True)

    def promote(self) -> Rollout:
        """Returns a rollout that sends all new messages to the canary, the version on trial."""
        canary = self._current.canary
        if canary is None:
            raise Refused("no version is a canary: first run make canary VERSION=… SHARE=5")
        return self.serve(canary)

    def back(self) -> Rollout:
        """Returns a rollout without the canary, the version on trial.

        If there is no canary, returns a rollout that restores the previous version.
        """
        current = self._current
        if current.canary is not None:
            return Rollout(current.current, previous=current.previous, set_by_operator=True)
        if current.previous is None:
            raise Refused(f"nothing was served before {current.current}")
        return self.serve(current.previous)

    def follow(self) -> Rollout:
        """Returns a rollout in which the workers, not an operator, choose the current version."""
        return Rollout(self._current.current, previous=self._current.previous)

    @property
    def _current(self) -> Rollout:
        if self.served.rollout is None:
            raise Refused("no worker has ever signed in")
        return self.served.rollout

    def _check_has_workers(self, version: str) -> None:
        if not self.served.workers.get(version):
            living = ", ".join(v for v, workers in self.served.workers.items() if workers)
            raise Refused(f"no worker serves {version}; alive: {living or 'none'}")


def main(arguments: Sequence[str]) -> int:
    """Runs the command, and returns the exit status.

    The status is 1 if the requested change is refused, and 2 for other errors.
    """
    options = _options(arguments)
    try:
        worker_registry = WorkerRegistry(connect(Settings.from_environ(os.environ).broker))
        if options.command != "list":
            served = worker_registry.look()
            worker_registry.change(
                lambda now: _requested_change(options)(Change(served._replace(rollout=now)))
            )
        print(table(worker_registry.look()))
    except Refused as error:
        print(f"byline: {error}", file=sys.stderr)
        return 1
    except (SettingsError, RedisError) as error:
        reason = in_words(error) if isinstance(error, RedisError) else error
        print(f"byline: {reason}", file=sys.stderr)
        return 2
    return 0


def _requested_change(options: argparse.Namespace) -> Callable[[Change], Rollout]:
    if options.command == "serve":
        return lambda change: change.serve(options.version)
    if options.command == "share":
        share = _share(options.share)
        return lambda change: change.share(options.version, share)
    return {"promote": Change.promote, "back": Change.back, "follow": Change.follow}[
        options.command
    ]


def table(served: ServedVersions) -> str:
    """Returns a text table of the model versions.

    Notes below the table say who chose the current version.
    """
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
    if not rollout.set_by_operator:
        return ["nobody has said which version to serve: it stays the same while its workers live"]
    notes = ["set by an operator with this command (follow: the workers decide again)"]
    if rollout.previous is not None:
        notes.append(f"before: {rollout.previous}")
    return notes


def _share(value: str) -> float:
    """Returns the share in ``value``: a number, such as 0.05, or a percentage, such as 5%."""
    try:
        number = float(value.removesuffix("%"))
    except ValueError:
        raise Refused(f"{value!r} is no share: write a number such as 0.05 or 5%") from None
    return number / 100 if value.endswith("%") else number


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m celery_app.models",
        description="Shows and sets the model version that new messages go to. Each api process "
        f"uses a change within {NOTICED_S} second.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "list", help="list the versions that have workers, or had any in the last day"
    )
    serve = commands.add_parser("serve", help="send all new messages to a version")
    share = commands.add_parser(
        "share", help="send a share of the new messages to a version, the canary"
    )
    for command in (serve, share):
        command.add_argument("version")
    share.add_argument("share", help="0.05 or 5%% is one in twenty; 0 ends the canary")
    commands.add_parser("promote", help="send all new messages to the canary")
    commands.add_parser("back", help="end the canary, or serve the version that was served before")
    commands.add_parser("follow", help="let the workers decide again which version is served")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
