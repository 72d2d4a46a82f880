"""A setting of OpenMP, which runs torch's loops in several threads."""

from __future__ import annotations

import os


def let_idle_threads_sleep() -> None:
    """Makes threads sleep that wait for others. Call this before torch is imported.

    By default, they wait busily. Where other programs use the cores, a training then takes four
    times as long. An environment that sets ``OMP_WAIT_POLICY`` decides itself.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
