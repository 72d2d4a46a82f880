"""Makes Ctrl-C end a command with one line instead of a traceback, even during its imports."""

from __future__ import annotations

import signal
import sys
from types import TracebackType


def end_in_one_line() -> None:
    """Makes Ctrl-C print one line instead of a traceback, if a ``python -m`` command is starting.

    Byline's packages that have commands call this function while they are imported.
    """
    # While ``python -m`` looks for the command's module and imports the packages around the module,
    # ``sys.argv[0]`` is "-m".
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
