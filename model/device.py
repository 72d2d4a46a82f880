"""Which device the model runs on. A device is trusted only after it has been tried."""

from __future__ import annotations

import logging

import torch

logger = logging.getLogger(__name__)

#: Side of the square matrices of the trial: past the sizes that take special paths, and instant.
TRIAL_SIDE = 128
#: Largest difference allowed between device and CPU, relative to the CPU's largest value.
#: fp32 with TF32 or Metal's fast maths stays well inside it; a broken device does not.
TRIAL_TOLERANCE = 1e-2


class DeviceError(RuntimeError):
    """The device can't be used. Says which, and why."""


def choose(name: str) -> torch.device:
    """Return the device called ``name``: ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``.

    ``auto`` is the first of CUDA, MPS and the CPU that passes its trial.

    Raises:
        DeviceError: the device is not there, or failed its trial.
    """
    if name != "auto":
        device = torch.device(name)
        try_out(device)
        return device
    for candidate in _present():
        try:
            try_out(candidate)
        except DeviceError as error:
            logger.warning("%s", error)
        else:
            return candidate
    return torch.device("cpu")


def _present() -> list[torch.device]:
    present = []
    if torch.cuda.is_available():
        present.append(torch.device("cuda"))
    if torch.backends.mps.is_available():
        present.append(torch.device("mps"))
    return present


def try_out(device: torch.device) -> None:
    """Allocate on ``device``, multiply, and compare with the CPU.

    ``is_available()`` is not enough: some machines say yes and fail at the first allocation.

    Raises:
        DeviceError: any of it failed.
    """
    generator = torch.Generator().manual_seed(0)
    left, right = torch.rand(2, TRIAL_SIDE, TRIAL_SIDE, generator=generator)
    expected = left @ right
    try:
        actual = (left.to(device) @ right.to(device)).cpu()
    except (RuntimeError, AssertionError) as error:  # torch asserts where it was built without
        raise DeviceError(f"device {device} can't be used: {error}") from error
    worst = (actual - expected).abs().max().item()
    if not worst <= TRIAL_TOLERANCE * expected.abs().max().item():
        raise DeviceError(
            f"device {device} can't be trusted: a {TRIAL_SIDE} x {TRIAL_SIDE} product "
            f"differs from the CPU's by up to {worst:.3g}"
        )
