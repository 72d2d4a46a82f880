"""What is sent: real passages whose authors are known, in the mix that a scenario asks for."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.load.scenario import Mix

#: Random choices are drawn so many at a time; one at a time costs more than sending.
DRAWN = 4096


class Passage(NamedTuple):
    """One labelled text."""

    text: str
    author: str


class Message(NamedTuple):
    """One message of a run: which passage, and the text as sent."""

    passage: int
    text: str


def read(path: Path) -> list[Passage]:
    """Reads passages from a .jsonl with ``text`` and ``author``.

    Raises:
        ValueError: a line is not such an object, or there is none. The line is named.
    """
    passages = []
    # Not splitlines: JSON may hold U+2028 and the like as they are.
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
    """Yields messages without end: the share ``mix.repeats`` from its population, the rest new.

    The population is passages as they are. A new message is a passage with two of its words left
    out: nearly as its author wrote it, so that the model finds it as hard, and no cache knows it.
    Passages take turns; ``run`` chooses where the choice of words begins.
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
                turn, place = divmod(next(number), len(passages))
                yield Message(order[place], variant(passages[order[place]].text, run + turn))


def variant(text: str, number: int) -> str:
    """Returns the variant of ``text`` with this number: each pair of its words left out is one.

    A text of fewer than three words has the number put after it instead.
    """
    words = text.split(" ")
    if len(words) < 3:
        return f"{text} {number}"
    gap, first = divmod(number % (len(words) * (len(words) - 1) // 2), len(words))
    # Pairs at a distance of gap + 1, counted around the end: each pair has one such distance.
    low, high = sorted((first, (first + gap + 1) % len(words)))
    return " ".join(words[:low] + words[low + 1 : high] + words[high + 1 :])
