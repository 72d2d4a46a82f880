"""Runs a command that ends when its parent ends: ``python die_with_parent.py PARENT command …``.

``PARENT`` is the id of the parent process, which starts this program. On Linux the kernel sends
SIGTERM to the command once the parent has ended. On other systems the command goes on.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

#: The option of prctl(2) that sets a signal: a process gets the signal when its parent ends.
PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if sys.platform == "linux":
        # This also works if the parent gets SIGKILL, and so has no chance to stop its children.
        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        # The parent may have ended before the kernel began to watch it.
        if os.getppid() != int(sys.argv[1]):
            sys.exit("die_with_parent: the parent has ended")
    os.execvp(sys.argv[2], sys.argv[2:])
