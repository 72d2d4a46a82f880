"""Checks a model's output, turns it into predictions, and removes texts from a model's errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from model.types import Candidate, DeviceLost, ModelCard, ModelError, Prediction


def check_shape(probabilities: torch.Tensor, rows: int, authors: int) -> None:
    """Checks that ``probabilities`` has the shape (rows, authors).

    Raises:
        ModelError: the shape is a different one.
    """
    shape = tuple(probabilities.shape)
    if shape != (rows, authors):
        raise ModelError(f"the model returned the shape {shape}, not {(rows, authors)}")


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
    """Turns an error in the block into a ModelError that names only the error's type and place.

    The text of the original error is left out, because it may quote a message.

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
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
        raise ModelError(f"the model raised {type(error).__name__}{place}") from None
