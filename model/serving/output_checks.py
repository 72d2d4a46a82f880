"""What a model may answer with, and how it may fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from model.types import Candidate, DeviceLost, ModelCard, ModelError, Prediction


def check_shape(probabilities: torch.Tensor, rows: int, authors: int) -> None:
    """Raise ``ModelError`` unless there is a row a text and a column an author."""
    shape = tuple(probabilities.shape)
    if shape != (rows, authors):
        raise ModelError(f"the model answered with shape {shape}, not {(rows, authors)}")


def finite(rows: torch.Tensor) -> NDArray[np.float32]:
    """Return ``rows``, of the host. Raises ``ModelError`` where a number is none."""
    array: NDArray[np.float32] = rows.numpy()
    if not np.isfinite(array).all():
        raise ModelError("the model answered with a number that is not finite")
    return array


def predictions(rows: NDArray[np.float32], card: ModelCard) -> list[Prediction]:
    """Return what is answered, from the best candidates' probabilities and classes.

    ``rows`` has both beside each other, best first: (texts, 2 x candidates).
    """
    middle, found = rows.shape[1] // 2, []
    confidences = rows[:, :middle].astype(np.float64)
    answers = (confidences[:, 0] >= card.threshold).tolist()
    classes = rows[:, middle:].astype(np.intp).tolist()
    for known, rounded, indices in zip(
        answers, confidences.round(6).tolist(), classes, strict=True
    ):
        authors = [card.authors[index] for index in indices]
        candidates = tuple(map(Candidate, authors, rounded))
        found.append(Prediction(authors[0] if known else None, rounded[0], candidates))
    return found


@contextmanager
def quoteless() -> Iterator[None]:
    """Turn what the model raises into an error of its kind and place, not of its words.

    They may quote the text.
    """
    try:
        yield
    except (ModelError, DeviceLost):
        raise
    except torch.AcceleratorError as error:  # sticky: all that follows would fail, too
        raise DeviceLost(f"the device failed: {str(error).partition(chr(10))[0]}") from None
    except Exception as error:  # it may be anybody's code
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f" at {trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else ""
        raise ModelError(f"the model raised {type(error).__name__}{place}") from None
