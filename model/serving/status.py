"""What a running engine says of itself: figures for metrics, and for people."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.serving.device import DeviceMemory


# A struct, as several are made for every batch.
class Work(msgspec.Struct, frozen=True):
    """What the device was given, since the start or for one batch."""

    messages: int = 0
    passes: int = 0
    #: Cells computed, padding included.
    cells: int = 0
    #: Those that were no padding.
    filled: int = 0
    #: Times that a pass did not fit the device's memory and was halved.
    halved: int = 0
    #: Seconds of the owner's thread: until the passes were ready, and for them.
    prepare_s: float = 0.0
    forward_s: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(
            self.messages + other.messages,
            self.passes + other.passes,
            self.cells + other.cells,
            self.filled + other.filled,
            self.halved + other.halved,
            self.prepare_s + other.prepare_s,
            self.forward_s + other.forward_s,
        )

    @property
    def padding(self) -> float:
        """The share of the cells that was wasted on padding, 0 to 1."""
        return 1 - self.filled / self.cells if self.cells else 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """Figures of a running engine, published by its thread after each batch for all to read."""

    #: None on the CPU, whose memory is the process's.
    memory: DeviceMemory | None = None
    #: The largest pass, in cells: lower than it began where the memory ran out.
    limit: int = 0
    #: Of the last batch, and since the start.
    batch: Work = field(default_factory=Work)
    total: Work = field(default_factory=Work)
    #: Of the last batch, each text's best guess, as its class and as its probability: int64 and
    #: float32, (texts,).
    best: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64), compare=False)
    confidence: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(0, np.float32), compare=False
    )
    #: Of some texts of the last batch, the share of their features that training never saw.
    unseen: tuple[float, ...] = ()
