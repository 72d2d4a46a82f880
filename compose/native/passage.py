"""Prints a held-out message of the shipped model's corpus, as JSON: text and source.

``python -m compose.native.passage``. A process of its own, so that the runner never holds pandas.
"""

from __future__ import annotations

import json
import random
import sys

from model.corpus import HELD_OUT_FOLD, load_sotu


def main() -> None:
    """Choose a message and print it."""
    message = random.choice(load_sotu().part(HELD_OUT_FOLD))
    source = f"{message.author}; held out, so the model has not seen it"
    json.dump({"text": message.text, "source": source}, sys.stdout)


if __name__ == "__main__":
    main()
