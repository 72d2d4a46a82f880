"""The default model, but it records the texts that it computes. A test can slow or stop it."""

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

#: Environment variable with the path of a file. While the file exists, it has the model's fault:
#: ``slow`` or ``hang``.
TROUBLE = "TEST_MODEL_TROUBLE"
#: Additional seconds of a forward pass while the model is slow.
SLOW_S = 0.5


class Troubled(NgramModel):
    """Appends 16 bytes to a file for each computed text, so that a test can count the texts."""

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
            trouble.unlink()  # only the first worker hangs
    except FileNotFoundError:
        return
    if kind == "hang":
        threading.Event().wait()
    time.sleep(SLOW_S)  # simulates a slow model
