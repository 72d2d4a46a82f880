"""Checks a model's output, turns the output into predictions, and keeps users' texts out of errors.

Before a worker takes messages, its warm-up checks every row, and refuses a model that breaks the
protocol. Later checks cover only the shape and the best candidates, and cost next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from model.serving.device import Device, DeviceError
from model.types import (
    Candidate,
    DeviceLost,
    ModelCard,
    ModelError,
    ModelRefused,
    Prediction,
)

#: Largest allowed difference between 1 and the sum of a row of probabilities. With a softmax in
#: bf16, the difference is at most a fifth of this number.
SUM_TOLERANCE = 0.01
#: Longest quotation from an error of the model, in characters. Torch's errors may fill a screen.
MAX_QUOTATION = 300


def check_shape(probabilities: torch.Tensor, rows: int, authors: int) -> None:
    """Checks that ``probabilities`` has the shape (rows, authors).

    Raises:
        ModelError: the shape is a different one.
    """
    shape = tuple(probabilities.shape)
    if shape != (rows, authors):
        raise ModelError(f"the model returned the shape {shape}, not {(rows, authors)}")


def check_output(output: object, rows: int, authors: int) -> None:
    """Checks, in the warm-up, that ``forward`` returned a row of probabilities for each text.

    Raises:
        ModelRefused: the output breaks the protocol.
    """
    if not isinstance(output, torch.Tensor):
        kind = f"{type(output).__module__}.{type(output).__qualname__}".removeprefix("builtins.")
        raise ModelRefused(
            f"`forward` returned {kind} and not a torch.Tensor: "
            "return one tensor, torch.from_numpy(…) of a numpy array"
        )
    shape = tuple(output.shape)
    if shape != (rows, authors):
        raise ModelRefused(
            f"`forward` returned the shape {shape} and not {(rows, authors)}: return one row for "
            "each text and one column for each author of the card"
        )
    if output.dtype != torch.float32:
        raise ModelRefused(
            f"`forward` returned {output.dtype} and not torch.float32: convert its result with "
            ".float()"
        )
    values = output.cpu()
    if not values.isfinite().all():
        raise ModelRefused(
            "`forward` returned a number that is not finite: look for a division by 0 or a "
            "logarithm of 0"
        )
    _check_probabilities(values)


def _check_probabilities(values: torch.Tensor) -> None:
    """Checks that each row holds numbers from 0 to 1 that add up to 1.

    Raises:
        ModelRefused: a row has other numbers or another sum.
    """
    lowest, highest = values.min().item(), values.max().item()
    sums = values.sum(1)
    worst = sums[(sums - 1).abs().argmax()].item()
    in_range = lowest >= -SUM_TOLERANCE and highest <= 1 + SUM_TOLERANCE
    if in_range and abs(worst - 1) <= SUM_TOLERANCE:
        return
    if highest <= 0 and ((values.exp().sum(1) - 1).abs() <= SUM_TOLERANCE).all():
        advice = "did you mean softmax instead of log_softmax?"
    elif in_range:
        advice = (
            "did you mean softmax(dim=1)? A sigmoid, or a softmax over dim=0, gives no row that "
            "adds up to 1"
        )
    else:
        advice = "did you forget softmax? End `forward` with .softmax(dim=1)"
    raise ModelRefused(
        f"`forward` returned rows that are no probabilities, with numbers from {lowest:.3g} to "
        f"{highest:.3g} and a row that adds up to {worst:.3g}: {advice}"
    )


def finite_array(rows: torch.Tensor) -> NDArray[np.float32]:
    """Returns a tensor on the host as a numpy array. Checks that all its numbers are finite.

    Raises:
        ModelError: a number is infinite or NaN.
    """
    array: NDArray[np.float32] = rows.numpy()
    if not np.isfinite(array).all():
        raise ModelError("the model returned a number that is not finite")
    return array


def predictions(rows: NDArray[np.float32], card: ModelCard) -> list[Prediction]:
    """Turns each row of the engine's output into a prediction.

    ``rows`` has the shape (texts, 2 x candidates): the probabilities of the best candidates,
    highest first, and then the indices of these candidates in ``card.authors``.
    """
    middle, found = rows.shape[1] // 2, []
    confidences = rows[:, :middle].astype(np.float64)
    sure = (confidences[:, 0] >= card.threshold).tolist()
    classes = rows[:, middle:].astype(np.intp).tolist()
    for is_sure, rounded, indices in zip(sure, confidences.round(6).tolist(), classes, strict=True):
        authors = [card.authors[index] for index in indices]
        candidates = tuple(map(Candidate, authors, rounded))
        found.append(Prediction(authors[0] if is_sure else None, rounded[0], candidates))
    return found


@contextmanager
def redact_errors() -> Iterator[None]:
    """Raises a ModelError in place of an error that the ``with`` block raises.

    The ModelError names the type, the function and the line of the original error. The original
    text is left out, because it may quote a user's message.

    Raises:
        ModelError: the block raised an error.
        DeviceLost: the device failed for good.
    """
    try:
        yield
    except (ModelError, DeviceLost):
        raise
    except torch.AcceleratorError as error:  # All later calls in this process would fail too.
        raise DeviceLost(f"the device failed: {str(error).partition(chr(10))[0]}") from None
    except Exception as error:  # A user's model may raise anything.
        raise ModelError(f"the model raised {_type_and_place(error)}") from None


@contextmanager
def refuse_errors(device: Device) -> Iterator[None]:
    """Raises a ModelRefused in place of an error that the ``with`` block raises.

    The ModelRefused quotes the original error. So use this only as long as the model has seen no
    user's message. DeviceError, DeviceLost and ModelError stay as they are.

    Raises:
        ModelRefused: the block raised another error.
        DeviceError: the model does not fit the memory of ``device``.
        DeviceLost: the device failed for good.
    """
    try:
        yield
    except (DeviceError, DeviceLost, ModelError):
        raise
    except torch.AcceleratorError as error:
        raise DeviceLost(f"the device failed: {str(error).partition(chr(10))[0]}") from None
    except Exception as error:  # A user's model may raise anything.
        text = one_line(error)
        if device.is_full(error):
            raise DeviceError(f"the model does not fit the memory of {device}: {text}") from error
        said = f"the model raised {_type_and_place(error)}"
        raise ModelRefused(f"{said}: {text}" if text else said) from error


def one_line(error: BaseException) -> str:
    """Returns the error's text in one line, cut to :data:`MAX_QUOTATION` characters."""
    text = " ".join(str(error).split())
    return text if len(text) <= MAX_QUOTATION else f"{text[:MAX_QUOTATION]} …"


def _type_and_place(error: BaseException) -> str:
    """Returns the error's type, and the function and the line that raised it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{place}"
