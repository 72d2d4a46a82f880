"""Devices for tests, on the CPU: with little memory, or computing while the thread goes on.

They stand in for GPUs, which are not to be had everywhere.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import torch

from model.serving.device import Device, DeviceMemory

logger = logging.getLogger(__name__)


class FakeGPU(Device):
    """Pads as a GPU, has memory for so many tokens at once, and notes what it is asked."""

    pads = True
    tokens = 256
    pass_cells = 1024

    def __init__(
        self,
        memory: int = 1_000_000,
        overlaps: bool = False,
        warms: bool = False,
        fails_after: int | None = None,
    ) -> None:
        """Where it ``warms``, blank batches fit, and only messages are ever too large.

        It ``fails_after`` so many passes of messages, for good.
        """
        super().__init__(torch.device("cpu"))
        self.overlaps = overlaps
        self.room = memory
        self._warms = warms
        self._left = fails_after
        #: Shapes of the batches that were uploaded, whether they fitted or not.
        self.shapes: list[tuple[int, int]] = []
        self.released = 0
        #: Downloads begun and not yet waited for.
        self.pending = 0

    def __str__(self) -> str:
        return "fake GPU"

    def upload(self, tensor: torch.Tensor) -> torch.Tensor:
        """Refuse what does not fit, as a GPU does: when it is allocated."""
        if tensor.ndim == 2 and tensor.dtype == torch.int64:
            self.shapes.append((tensor.shape[0], tensor.shape[1]))
            if tensor.numel() > self.room and not (self._warms and not tensor.any()):
                raise torch.OutOfMemoryError("fake GPU out of memory")
            if self._left is not None and tensor.any():
                self._left -= 1
                if self._left < 0:
                    raise torch.AcceleratorError("fake GPU: illegal memory access")
        return tensor

    def download(self, tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
        """Note that a copy is on its way."""
        self.pending += 1

        if self.pending == 2 and self.overlaps:
            logger.warning("fake GPU: two at once")

        def wait() -> torch.Tensor:
            if self.overlaps:
                time.sleep(0.005)  # it computes
            self.pending -= 1
            return tensor

        return wait

    def memory(self) -> DeviceMemory:
        """Count tokens as bytes."""
        largest = max((rows * length for rows, length in self.shapes), default=0)
        return DeviceMemory(largest, largest, self.room)

    def release(self) -> None:
        """Note it."""
        self.released += 1
