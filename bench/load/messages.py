"""Makes the messages of a load, new and repeated, from passages whose authors are known."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.load.scenario import Mix

#: Number of random choices that are drawn in one call. A call for each choice would cost more time
#: than to send a message.
DRAWN = 4096


class Passage(NamedTuple):
    """A text and its author."""

    text: str
    author: str


class Message(NamedTuple):
    """One message of a load: its text, and the passage from which the text is made."""

    #: Index of the passage from which the text is made.
    passage: int
    #: The text that is sent.
    text: str


def read(path: Path) -> list[Passage]:
    """Returns the passages of a .jsonl file. A line is an object with ``text`` and ``author``.

    Raises:
        ValueError: the file is empty, or a line is not such an object. The error names the line.
    """
    passages = []
    # Not splitlines: JSON may contain U+2028 and other line separators.
    for line, row in enumerate(path.read_text().split("\n"), 1):
        if not row.strip():
            continue
        try:
            fields = json.loads(row)
            passages.append(Passage(fields["text"], fields["author"]))
        except (ValueError, KeyError, TypeError) as error:
            words = "needs an object with text and author"
            raise ValueError(f"{path}, line {line}: {words}: {error!r}") from None
    if not passages:
        raise ValueError(f"{path} holds no passage")
    return passages


def stream(passages: list[Passage], mix: Mix, run: int) -> Iterator[Message]:
    """Yields new and repeated messages without end.

    The share ``mix.repeats`` of the messages is repeated: these are passages without a change. All
    other messages are new: these are variants of the passages, without two of their words. The
    first variant of each passage has the number ``run``, and the next has the number ``run + 1``.
    """
    random = np.random.default_rng(mix.seed)
    order = random.permutation(len(passages)).tolist()
    population = min(mix.population, len(passages))
    frequency = np.arange(1, population + 1, dtype=np.float64) ** -mix.exponent
    frequency /= frequency.sum()
    number = itertools.count()
    while True:
        repeated = random.random(DRAWN) < mix.repeats
        drawn = random.choice(population, DRAWN, p=frequency)
        for again, rank in zip(repeated.tolist(), drawn.tolist(), strict=True):
            if again:
                yield Message(order[rank], passages[order[rank]].text)
            else:
                # A variant is as hard for the model as its passage, and is in no cache.
                turn, index = divmod(next(number), len(passages))
                yield Message(order[index], variant(passages[order[index]].text, run + turn))


def variant(text: str, number: int) -> str:
    """Returns variant ``number`` of ``text``: the text without two of its words.

    ``number`` determines the two words. A text of fewer than three words keeps them, and gets the
    number at its end instead.
    """
    words = text.split(" ")
    if len(words) < 3:
        return f"{text} {number}"
    gap, first = divmod(number % (len(words) * (len(words) - 1) // 2), len(words))
    # The two words are gap + 1 words apart, counted around the text's end: each pair occurs once.
    low, high = sorted((first, (first + gap + 1) % len(words)))
    return " ".join(words[:low] + words[low + 1 : high] + words[high + 1 :])
