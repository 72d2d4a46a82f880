"""Runs a command that ends with its parent: ``python die_with_parent.py PARENT command …``.

On Linux the kernel sends the command a SIGTERM once the process that started it is gone, however
it went: a SIGKILL leaves nobody to clean up otherwise. Elsewhere this is a plain ``exec``.
``PARENT`` is that process's id: where it has gone before the kernel knew, the command is not run.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

#: prctl(2).
PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != int(sys.argv[1]):
            sys.exit("die_with_parent: the parent is gone")
    os.execvp(sys.argv[2], sys.argv[2:])
