"""The default model, which notes what it computes, and gets into trouble when told to."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from model.ngram.classifier import NgramModel
from tests.models import CALLS, WARM_UP

#: Names a file that says what the trouble is, while it is there: ``slow`` or ``hang``.
TROUBLE = "TEST_MODEL_TROUBLE"
#: Seconds that a forward pass takes more when the model is slow.
SLOW_S = 0.5


class Troubled(NgramModel):
    """Appends 16 bytes to a file for each text that it computes, to be counted."""

    def prepare(self, texts: Sequence[str]) -> Any:
        if not texts[0].startswith(WARM_UP):
            _note(texts)
            _suffer()
        return super().prepare(texts)


def _note(texts: Sequence[str]) -> None:
    with Path(os.environ[CALLS]).open("ab") as file:
        file.write(b"".join(blake2b(t.encode(), digest_size=16).digest() for t in texts))


def _suffer() -> None:
    trouble = Path(os.environ[TROUBLE])
    try:
        kind = trouble.read_text()
        if kind == "hang":
            trouble.unlink()  # for one worker only, whichever is first
    except FileNotFoundError:
        return
    if kind == "hang":
        threading.Event().wait()
    time.sleep(SLOW_S)  # what a slow model does
