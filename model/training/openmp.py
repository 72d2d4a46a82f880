"""A setting of OpenMP, which runs torch's loops in several threads."""

from __future__ import annotations

import os


def let_idle_threads_sleep() -> None:
    """Makes OpenMP's threads sleep while they wait for each other.

    Call this function before torch is imported. By default, waiting threads keep their cores busy.
    A training then takes four times as long if other programs use the cores. If the environment
    variable ``OMP_WAIT_POLICY`` is set already, the function changes nothing.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
