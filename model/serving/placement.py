"""The settings with which a worker runs its model: device, precision, threads, size of a pass."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Placement:
    """The settings with which a worker runs its model, such as device, precision and threads."""

    #: A name that :func:`model.serving.device.choose` accepts.
    device: str = "auto"
    #: ``fp32``, ``bf16`` or ``fp16``. Half precision needs a :class:`~model.types.SequenceModel`.
    precision: str = "fp32"
    #: CPU threads of torch. None: an equal share of the cores for a SequenceModel, else one thread.
    threads: int | None = None
    #: Largest number of tokens of a forward pass of a SequenceModel, padding included. None: the
    #: device's own number.
    tokens: int | None = None
    #: This worker's number among the workers of the machine, from 0.
    worker: int = 0
    #: Number of workers on the machine.
    workers: int = 1


def available_cores() -> int:
    """Returns the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
