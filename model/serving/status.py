"""The figures that a running engine publishes after each batch, for metrics and for logs."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.serving.device import DeviceMemory


# A msgspec struct, because several are created for every batch.
class Work(msgspec.Struct, frozen=True):
    """Counts and durations of the model's work on one batch, or of all its work since the start."""

    messages: int = 0
    #: Forward passes.
    passes: int = 0
    #: Cells that the device computed, padding included. See :mod:`model.serving.passes`.
    cells: int = 0
    #: Cells that were not padding.
    filled: int = 0
    #: Passes that did not fit into the device's memory and were halved.
    halved: int = 0
    #: Seconds that the model's thread took to prepare the passes.
    prepare_s: float = 0.0
    #: Seconds that the model's thread took to launch the passes and to wait for their output.
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
        """The share of the computed tokens that were padding, 0 to 1.

        The share is 0 if the served model takes texts (:class:`~model.types.Model`), not tokens.
        """
        return 1 - self.filled / self.cells if self.cells else 0.0


@dataclass(frozen=True, slots=True)
class Status:
    """The figures of a running engine.

    The engine's thread replaces the figures after each batch. Any thread may read the figures.
    """

    #: Memory of the device; None on the CPU, which uses the process's memory.
    memory: DeviceMemory | None = None
    #: Largest allowed pass, in cells. The engine lowers the limit when the memory runs out.
    limit: int = 0
    #: Work of the last batch.
    batch: Work = field(default_factory=Work)
    #: Work since the start.
    total: Work = field(default_factory=Work)
    #: Index of the most probable author of each text of the last batch: int64, shape (texts,).
    best: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64), compare=False)
    #: Probability of the most probable author of each text: float32, shape (texts,).
    confidence: NDArray[np.float32] = field(
        default_factory=lambda: np.zeros(0, np.float32), compare=False
    )
    #: Share of the features that training never saw, for some texts of the last batch, 0 to 1.
    unseen: tuple[float, ...] = ()
