"""Where and how a model runs."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Placement:
    """Where and how a model runs."""

    #: As :func:`model.serving.device.choose` takes it.
    device: str = "auto"
    #: ``fp32``, ``bf16`` or ``fp16``; the halves only for a :class:`SequenceModel`.
    precision: str = "fp32"
    #: CPU threads of torch. None: one, or an equal share of the cores for a SequenceModel.
    threads: int | None = None
    #: Cells of one forward pass at most, see :mod:`model.serving.passes`. None: the device's own.
    tokens: int | None = None
    #: This worker's number among those of the machine, from 0, and how many they are.
    worker: int = 0
    workers: int = 1


def available_cores() -> int:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
