"""The devices that a model can run on: the CPU, CUDA or Metal.

A worker uses a GPU only after a short self-test. Only the models use a device directly. Other code
uses :class:`Device`, so that a test can use a fake device.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NamedTuple

import torch

logger = logging.getLogger(__name__)

#: Side of the square matrices of the self-test. They are larger than the sizes for which libraries
#: have special code, and their product takes hardly any time.
SELF_TEST_SIDE = 128
#: Largest difference allowed between device and CPU, as a share of the CPU's largest value.
#: fp32 with TF32 or Metal's fast maths stays far below this number; a broken device does not.
SELF_TEST_TOLERANCE = 1e-2
#: Parts of the RuntimeError that torch raises when the CPU or Metal has no memory left.
_NO_MEMORY = (
    "can't allocate memory",
    "out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "Invalid buffer size",
)


class DeviceError(RuntimeError):
    """The device can't be used for the model, or can't run the model in the chosen precision.

    The error's text says why.
    """


class DeviceMemory(NamedTuple):
    """How much of a GPU's memory is in use, and how much can be used, in bytes."""

    #: Held by tensors.
    allocated: int
    #: Taken from the driver: tensors, torch's cache for later tensors, and compiled kernels.
    driver: int
    #: The GPU's whole memory, or as much as the driver recommends to use.
    limit: int


class Device:
    """The operations that the engine needs of a device.

    This base class implements the operations for the CPU.
    """

    #: Whether the device computes while the thread that launched the work continues.
    overlaps = False
    #: Whether each new shape costs time and memory, so that batches are padded to a grid.
    pads = False
    #: Largest number of tokens of a forward pass, padding included, unless the settings set
    #: another number. Beyond about 3,000 tokens, the activations of a small encoder do not fit into
    #: a CPU's cache: at 25,000 tokens the CPU is half as fast.
    tokens = 3072
    #: Fixed cost of a pass, as a number of tokens. Measured on a CPU: a pass with one message takes
    #: as long as the message's tokens and 100 more tokens within a larger pass.
    pass_cells = 100

    def __init__(self, device: torch.device) -> None:
        self.torch = device

    def __str__(self) -> str:
        return str(self.torch)

    def upload(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copies ``tensor`` from the host to the device, and returns the copy."""
        return tensor.to(self.torch)

    def download(self, tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
        """Returns a function that returns a copy of ``tensor`` on the host.

        The function waits until the copy is complete.
        """
        return tensor.cpu

    def memory(self) -> DeviceMemory | None:
        """Returns the figures of the device's memory; None for the CPU."""
        return None

    def release(self) -> None:
        """Frees the device memory that torch keeps cached for later tensors."""

    def is_full(self, error: BaseException) -> bool:
        """Returns whether ``error`` means that the device has no memory left."""
        if isinstance(error, torch.OutOfMemoryError | MemoryError):
            return True
        return isinstance(error, RuntimeError) and any(w in str(error) for w in _NO_MEMORY)


class Cuda(Device):
    """An NVIDIA GPU. The host launches work and continues; the GPU computes the work in order."""

    overlaps = True
    pads = True
    tokens = 32_768
    #: A launch costs a fast GPU the time of several thousand tokens, and a slow GPU the time of a
    #: few hundred. This number is a guess between the two.
    pass_cells = 1024

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        torch.cuda.set_device(device)

    def upload(self, tensor: torch.Tensor) -> torch.Tensor:
        """Copies ``tensor`` to the GPU from pinned memory, so that the host does not wait."""
        return tensor.pin_memory().to(self.torch, non_blocking=True)

    def download(self, tensor: torch.Tensor) -> Callable[[], torch.Tensor]:
        """Queues a copy of ``tensor`` to the host. Returns a function that waits for the copy."""
        # The GPU works through its queue in order. If the copy were queued only when the host needs
        # the tensor, the copy would also wait for all work that was launched meanwhile.
        copy = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        copy.copy_(tensor, non_blocking=True)
        done = torch.cuda.Event()
        done.record()

        def wait() -> torch.Tensor:
            done.synchronize()
            return copy

        return wait

    def memory(self) -> DeviceMemory:
        """Returns torch's figures of the GPU's memory. The limit is the whole memory of the GPU."""
        return DeviceMemory(
            torch.cuda.memory_allocated(self.torch),
            torch.cuda.memory_reserved(self.torch),
            torch.cuda.get_device_properties(self.torch).total_memory,
        )

    def release(self) -> None:
        """Frees the GPU memory that torch keeps cached for later tensors."""
        torch.cuda.empty_cache()


class Metal(Device):
    """Apple's GPU. The host waits while the GPU computes: nobody has tried to let it continue."""

    pads = True
    tokens = 32_768
    #: Not measured: the same number as for CUDA.
    pass_cells = 1024

    def __init__(self, device: torch.device) -> None:
        super().__init__(device)
        logger.warning(
            "mps: operators without a Metal kernel run on the CPU; torch names each of them once"
        )

    def memory(self) -> DeviceMemory:
        """Returns the figures of Metal's memory, which is a part of the process's memory."""
        return DeviceMemory(
            torch.mps.current_allocated_memory(),
            torch.mps.driver_allocated_memory(),
            torch.mps.recommended_max_memory(),
        )

    def release(self) -> None:
        """Frees the memory that torch keeps cached on Metal for later tensors."""
        torch.mps.empty_cache()


_KINDS: dict[str, type[Device]] = {"cpu": Device, "cuda": Cuda, "mps": Metal}


def choose(name: str, worker: int = 0) -> Device:
    """Returns the device called ``name``: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.

    ``auto`` means CUDA if it passes the self-test, otherwise MPS if it passes, otherwise the CPU.
    If the name has no N, the workers of a machine take its CUDA GPUs in turn. ``worker`` is this
    worker's number on the machine, from 0.

    Raises:
        DeviceError: the device does not exist, or failed the self-test.
    """
    if name != "auto":
        device = _numbered(torch.device(name), worker)
        self_test(device)
        return _KINDS[device.type](device)
    for candidate in _present():
        device = _numbered(candidate, worker)
        try:
            self_test(device)
        except DeviceError as error:
            logger.warning("%s; the worker tries the next device", error)
        else:
            return _KINDS[device.type](device)
    return Device(torch.device("cpu"))


def _present() -> list[torch.device]:
    present = []
    if torch.cuda.is_available():
        present.append(torch.device("cuda"))
    if torch.backends.mps.is_available():
        present.append(torch.device("mps"))
    return present


def _numbered(device: torch.device, worker: int) -> torch.device:
    """Returns this worker's GPU if ``device`` is ``cuda`` without a number, else ``device``."""
    gpus = torch.cuda.device_count() if device.type == "cuda" and device.index is None else 0
    return torch.device("cuda", worker % gpus) if gpus else device


def self_test(device: torch.device) -> None:
    """Multiplies two matrices on ``device``, and compares the product with the CPU's.

    On some machines, torch's ``is_available()`` returns True although the first allocation on the
    device fails.

    Raises:
        DeviceError: the device failed, or its product is wrong.
    """
    generator = torch.Generator().manual_seed(0)
    left, right = torch.rand(2, SELF_TEST_SIDE, SELF_TEST_SIDE, generator=generator)
    expected = left @ right
    try:
        actual = (left.to(device) @ right.to(device)).cpu()
    except (RuntimeError, AssertionError) as error:  # A torch built without CUDA asserts.
        raise DeviceError(f"device {device} can't be used: {error}") from error
    worst = (actual - expected).abs().max().item()
    if not worst <= SELF_TEST_TOLERANCE * expected.abs().max().item():
        raise DeviceError(
            f"device {device} can't be trusted: a {SELF_TEST_SIDE} x {SELF_TEST_SIDE} product "
            f"differs from the CPU's by up to {worst:.3g}"
        )
