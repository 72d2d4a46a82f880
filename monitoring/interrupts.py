"""Ends a command on Ctrl-C with one line, in the place of a traceback, from its first import on."""

from __future__ import annotations

import signal
import sys
from types import TracebackType


def end_in_one_line() -> None:
    """Prepares a command, if the package that calls this function is imported to run one.

    Python sets ``sys.argv[0]`` to ``-m`` as long as it looks for the module of ``python -m``. For
    this it imports the module's packages. An import at another time changes nothing.
    """
    if sys.argv[:1] == ["-m"]:
        sys.excepthook = _print_one_line


def _print_one_line(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would print a traceback
    sys.stderr.write("byline: stopped\n")
