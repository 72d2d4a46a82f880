"""Starts ``make run``: first sets the handler of Ctrl-C, and then imports the slow modules."""

from __future__ import annotations

import os
import sys

from compose.native import terminal

if __name__ == "__main__":
    os.umask(0o077)  # files of the parts may hold texts and passwords
    terminal.prepare()
    from compose.native.run import main

    sys.exit(main(sys.argv[1:]))
