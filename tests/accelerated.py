"""The default model at the pace of an accelerator, for benchmarks where there is none.

It answers as the default model does. Beyond that its thread sleeps, as it would while a GPU
computed, so that on two cores the model is what limits the system, and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from model.ngram.classifier import NgramModel
from tests.models import WARM_UP

#: Seconds that a forward pass takes, and that each of its texts adds.
PASS_S, TEXT_S = 0.02, 0.002


class Accelerated(NgramModel):
    """At most some 430 texts a second, in batches of 64."""

    def prepare(self, texts: Sequence[str]) -> Any:
        """See :class:`model.types.Model`."""
        if not texts[0].startswith(WARM_UP):
            time.sleep(PASS_S + TEXT_S * len(texts))
        return super().prepare(texts)
