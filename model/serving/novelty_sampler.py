"""Measures, on a sample of the traffic, how much of a text is new to the model."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import numpy as np

from model.types import Novelty

logger = logging.getLogger(__name__)

#: Largest number of texts in the sample of one period. Measuring a text costs about as much as
#: attributing it.
SAMPLE_TEXTS = 8
#: Length of a period, in seconds.
PERIOD_S = 1.0


class NoveltySampler:
    """Measures how new texts are to a model, for at most 8 texts a second.

    Nothing is measured if the model does not implement the protocol ``Novelty``.
    """

    def __init__(self, model: object) -> None:
        self._model = model
        self._period_began = -PERIOD_S
        self._sampled = 0

    def sample(self, texts: Sequence[str]) -> tuple[float, ...]:
        """Returns, for the first few texts, the share of a text's features that training never saw.

        Shares that are not from 0 to 1 are left out. The result is empty if the model can't measure
        the texts, or if 8 texts were already measured in this second.
        """
        if (now := time.monotonic()) >= self._period_began + PERIOD_S:
            self._period_began, self._sampled = now, 0
        sample = texts[: SAMPLE_TEXTS - self._sampled]
        if not sample or not isinstance(self._model, Novelty):
            return ()
        self._sampled += len(sample)
        try:
            shares = np.asarray(self._model.unseen(sample), float)
        except Exception as error:  # A user's model may raise anything; the predictions are valid.
            logger.warning("the model can't tell what is new to it: %s", type(error).__name__)
            self._sampled = SAMPLE_TEXTS  # No further calls in this period.
            return ()
        return tuple(shares[(shares >= 0) & (shares <= 1)].tolist())
