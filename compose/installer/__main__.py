"""Makes a virtual environment for the Makefile: ``python -m compose.installer FOLDER LOCK STAMP``.

``FOLDER`` is the environment's folder. ``LOCK`` is the file that pins its packages. ``STAMP`` is a
file that is made once all packages are installed.
"""

from __future__ import annotations

import sys

from compose.native import terminal

if __name__ == "__main__":
    terminal.prepare()
    from compose.installer.install import main

    sys.exit(main(sys.argv[1:]))
