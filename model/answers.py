"""What a model may answer with, and how it may fail."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from model.types import DeviceLost, ModelError


def check_shape(probabilities: torch.Tensor, rows: int, authors: int) -> None:
    """Raise ``ModelError`` unless there is a row a text and a column an author."""
    shape = tuple(probabilities.shape)
    if shape != (rows, authors):
        raise ModelError(f"the model answered with shape {shape}, not {(rows, authors)}")


def finite(rows: torch.Tensor) -> torch.Tensor:
    """Return ``rows``. Raises ``ModelError`` where a number is none."""
    if not bool(torch.isfinite(rows).all()):
        raise ModelError("the model answered with a number that is not finite")
    return rows


def best_of(answered: Sequence[torch.Tensor]) -> dict[str, Any]:
    """Return class and probability of the best candidates: copies, for tensors are used again."""
    rows = torch.cat(list(answered)).numpy()
    return {
        "best": rows[:, rows.shape[1] // 2].astype(np.int64),
        "confidence": rows[:, 0].copy(),
    }


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
