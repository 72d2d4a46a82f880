"""``make run``: handles Ctrl-C from the first moment on, then imports all that takes a second."""

from __future__ import annotations

import os
import sys

from compose.native import terminal

if __name__ == "__main__":
    os.umask(0o077)  # what the parts write may hold texts and passwords
    terminal.prepare()
    from compose.native.run import main

    sys.exit(main(sys.argv[1:]))
