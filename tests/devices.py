"""A device for tests that computes on the CPU and behaves like a GPU.

Tests can limit the device's memory, or make the device compute while the thread goes on. So the
tests need no real GPU.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import torch

from model.serving.device import Device, DeviceMemory

logger = logging.getLogger(__name__)


class FakeGPU(Device):
    """A device that pads as a GPU, has limited memory, and records the batches that it gets."""

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
        """``memory`` is the number of tokens that fit on the device at once.

        ``overlaps`` is true if the device computes while the thread goes on. If ``warms`` is true,
        the blank batches of the warm-up always fit. After ``fails_after`` passes with messages,
        every further pass fails.
        """
        super().__init__(torch.device("cpu"))
        self.overlaps = overlaps
        self.room = memory
        self._warms = warms
        self._left = fails_after
        #: Shapes of the batches that were uploaded, whether they fitted or not.
        self.shapes: list[tuple[int, int]] = []
        self.released = 0
        #: Number of downloads that have begun and whose results nobody has waited for.
        self.pending = 0

    def __str__(self) -> str:
        return "fake GPU"

    def upload(self, tensor: torch.Tensor) -> torch.Tensor:
        """Returns the tensor. Raises an out-of-memory error if it does not fit, as a GPU does."""
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
        """Begins a download. Returns a function that waits for it, and returns the tensor."""
        self.pending += 1

        if self.pending == 2 and self.overlaps:
            logger.warning("fake GPU: two at once")

        def wait() -> torch.Tensor:
            if self.overlaps:
                time.sleep(0.005)  # the device computes
            self.pending -= 1
            return tensor

        return wait

    def memory(self) -> DeviceMemory:
        """Returns the memory in use, and the whole memory. A token counts as one byte."""
        largest = max((rows * length for rows, length in self.shapes), default=0)
        return DeviceMemory(largest, largest, self.room)

    def release(self) -> None:
        """Counts the calls of this method."""
        self.released += 1
