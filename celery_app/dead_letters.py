"""The command for dead letters: ``python -m celery_app.dead_letters list|show|replay|drop``.

A dead letter is a message that killed several workers, or a task that no worker can read.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence

from redis import RedisError

from celery_app.app import make_celery
from celery_app.connections import connect, in_words
from celery_app.settings import Settings, SettingsError
from tasks.messages import REQUEST_IDS, TASK
from tasks.rollout import WorkerRegistry
from tasks.storage.dead_letters import (
    AnyLetter,
    DeadLetter,
    DeadLetters,
    MalformedTask,
    NoDeadLetter,
)
from tasks.storage.result_cache import AttributionCache


def main(arguments: Sequence[str]) -> int:
    """Runs the command, and returns the exit status.

    The status is 1 if no dead letter has the given id, or if the dead letter with this id can't be
    replayed. The status is 2 for other errors.
    """
    options = _options(arguments)
    try:
        settings = Settings.from_environ(os.environ)
        client = connect(settings.cache)
        letters = DeadLetters(client)
        if options.command == "list":
            _list(letters.all())
            return 0
        letter = letters.get(options.id)
        if options.command == "show":
            _show(letter)
            return 0
        if isinstance(letter, DeadLetter):
            AttributionCache(client, settings.result_ttl_s).forget(letter.id)
        if options.command == "replay":
            print(f"sent once more, as task {_replay(settings, letter)}")
        letters.drop(options.id)
    except NoDeadLetter as error:
        print(f"byline: {error}", file=sys.stderr)
        return 1
    except (SettingsError, RedisError) as error:
        reason = in_words(error) if isinstance(error, RedisError) else error
        print(f"byline: {reason}", file=sys.stderr)
        return 2
    return 0


def _replay(settings: Settings, letter: AnyLetter) -> str:
    """Sends the message of a dead letter once more. Returns the id of the new Celery task."""
    if not isinstance(letter, DeadLetter):
        raise NoDeadLetter(f"{letter.id} can't be replayed: its content is not stored")
    task = make_celery(settings).send_task(
        TASK,
        [[letter.text]],
        {"explain": letter.explain, "version": letter.version},
        queue=WorkerRegistry(connect(settings.broker)).look().queue(letter.version),
        headers={REQUEST_IDS: letter.request_ids[:1]},
    )
    return str(task.id)


def _list(letters: Sequence[AnyLetter]) -> None:
    for letter in letters:
        print(f"{letter.id}  {_when(letter)}  {_summary(letter)}")
    if not letters:
        print("there are no dead letters")


def _summary(letter: AnyLetter) -> str:
    if isinstance(letter, DeadLetter):
        return f"{len(letter.text):>6,} characters  {letter.version}"
    if isinstance(letter, MalformedTask):
        return f"{letter.size:>6,} bytes  malformed task of {letter.queue}: {letter.kind}"
    return "unreadable: no worker of this release wrote it"


def _show(letter: AnyLetter) -> None:
    print(f"id:      {letter.id}\nsince:   {_when(letter)}")
    if isinstance(letter, DeadLetter):
        print(f"model:   {letter.version}\ntask:    {letter.task}")
        if letter.request_ids:
            print(f"request: {', '.join(letter.request_ids)}")
        print(f"explain: {str(letter.explain).lower()}\n\n{letter.text}")
    else:
        print(_summary(letter).strip())


def _when(letter: AnyLetter) -> str:
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(letter.at))
    except (OverflowError, ValueError, OSError):
        return "unknown time"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m celery_app.dead_letters",
        description="Dead letters: messages that made workers die again and again, and tasks that "
        "no worker can read.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="list all dead letters, without their texts")
    for name, words in (
        ("show", "show one dead letter, with its text if it has one"),
        ("replay", "send a message once more, and drop its dead letter"),
        ("drop", "drop one dead letter"),
    ):
        commands.add_parser(name, help=words).add_argument("id")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
