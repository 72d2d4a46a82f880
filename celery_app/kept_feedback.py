"""The command for kept texts: ``python -m celery_app.kept_feedback list|erase AUTHOR``.

A kept text is a message with feedback, stored with its true author because ``BYLINE_KEEP_FEEDBACK``
was set.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence

from redis import RedisError

from celery_app.connections import connect, in_words
from celery_app.settings import Settings, SettingsError
from tasks.errors import InvalidMessage
from tasks.feedback.kept_texts import Kept, KeptTexts
from tasks.messages import parse_author


def main(arguments: Sequence[str]) -> int:
    """Runs the command, and returns the exit status.

    The status is 2 if an author's name is invalid, a setting is wrong, or Redis fails.
    """
    options = _options(arguments)
    try:
        kept_texts = KeptTexts(connect(Settings.from_environ(os.environ).cache))
        if options.command == "list":
            print(table(kept_texts.all()))
        else:
            author = parse_author(options.author)
            print(f"kept texts of {author!r} erased: {kept_texts.erase(author):,}")
    except (InvalidMessage, SettingsError, RedisError) as error:
        reason = in_words(error) if isinstance(error, RedisError) else error
        print(f"byline: {reason}", file=sys.stderr)
        return 2
    return 0


def table(kept: Kept) -> str:
    """Returns a table with a line for each author: number of kept texts, and when they expire.

    The table does not show the texts. A line below says how many records can't be read.
    """
    ends = defaultdict(list)
    for text in kept.texts:
        ends[text.author].append(text.until)
    lines = [f"{'texts':>7}  {'first ends':<10}  {'last ends':<10}  author"] if ends else []
    for author, times in sorted(ends.items()):
        lines.append(f"{len(times):>7,}  {_day(min(times))}  {_day(max(times))}  {author}")
    if not ends:
        lines.append("no text with feedback is kept")
    if kept.unreadable:
        lines.append(f"records that can't be read: {kept.unreadable:,}")
    return "\n".join(lines)


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(at))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m celery_app.kept_feedback",
        description="Texts with feedback that BYLINE_KEEP_FEEDBACK has kept for training.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="count the kept texts of each author, without the texts")
    erase = commands.add_parser("erase", help="delete all kept texts of one author")
    erase.add_argument("author")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
