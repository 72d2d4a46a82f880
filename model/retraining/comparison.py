"""Compares two model versions on the same held-out messages, by McNemar's test."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

from rich.table import Table
from scipy.stats import binomtest

#: A difference between two versions is proven if its p-value is smaller than this number.
SIGNIFICANT = 0.05


class Comparison(NamedTuple):
    """How often two model versions are right on the same messages.

    A version is right if the author that it finds most probable is the true author.
    """

    #: Name of the messages, for people.
    name: str
    #: Number of messages.
    messages: int
    #: Number of messages on which both versions are right.
    both: int
    #: Number of messages on which only the old version is right.
    only_old: int
    #: Number of messages on which only the new version is right.
    only_new: int

    @property
    def p_value(self) -> float:
        """The exact two-sided p-value of McNemar's test (1947).

        Only messages count on which exactly one version is right. If the versions were equally
        good, each would be right on about half of these messages. Without such messages, the
        p-value is 1.
        """
        discordant = self.only_old + self.only_new
        return float(binomtest(self.only_new, discordant).pvalue) if discordant else 1.0

    @property
    def verdict(self) -> Literal["better", "worse", "no difference proven"]:
        """The result of the test: how the new version compares with the old one.

        A p-value below ``SIGNIFICANT`` proves a difference.
        """
        if self.p_value >= SIGNIFICANT:
            return "no difference proven"
        return "better" if self.only_new > self.only_old else "worse"


def compare(
    name: str, authors: Iterable[str], old: Iterable[str], new: Iterable[str]
) -> Comparison:
    """Counts how often the predicted authors of two versions, ``old`` and ``new``, are right.

    ``authors`` are the true authors. Each of the three has one author for each message, in the same
    order. ``name`` is the name of the messages.
    """
    right = [(a == author, b == author) for author, a, b in zip(authors, old, new, strict=True)]
    counts = [right.count(pair) for pair in ((True, True), (True, False), (False, True))]
    return Comparison(name, len(right), *counts)


def table(old: str, new: str, comparisons: Sequence[Comparison]) -> Table:
    """Returns a table for the terminal, with a column for each of ``comparisons``.

    ``old`` and ``new`` are the names of the versions.
    """
    rows: tuple[tuple[str, Callable[[Comparison], str]], ...] = (
        ("messages", lambda each: f"{each.messages:,}"),
        (f"right: {old}, old", lambda each: _share(each.both + each.only_old, each.messages)),
        (f"right: {new}, new", lambda each: _share(each.both + each.only_new, each.messages)),
        ("only the old version is right", lambda each: f"{each.only_old:,}"),
        ("only the new version is right", lambda each: f"{each.only_new:,}"),
        ("p-value of McNemar's test", lambda each: f"{each.p_value:.2g}"),
        ("the new version is", lambda each: each.verdict),
    )
    found = Table("held-out messages", *(each.name for each in comparisons))
    for name, cell in rows:
        found.add_row(name, *map(cell, comparisons))
    return found


def conclusion(new: str, comparisons: Sequence[Comparison]) -> str:
    """Returns a sentence that says whether the version ``new`` is better than the old one.

    The new version is better if a comparison proves it better, and no comparison proves it worse.
    """
    better, worse = (
        [each.name for each in comparisons if each.verdict == verdict]
        for verdict in ("better", "worse")
    )
    if better and worse:
        return f"{new} is better on {_and(better)} and worse on {_and(worse)}: you decide."
    if better:
        return f"{new} is better: it is better on {_and(better)}, and no loss is proven elsewhere."
    if worse:
        return f"{new} is worse on {_and(worse)}: do not serve it."
    return (
        f"Whether {new} is better is not proven: the versions differ on too few held-out messages. "
        "Collect more feedback."
    )


def _share(right: int, messages: int) -> str:
    return f"{right / messages:.3f}" if messages else "none"


def _and(names: Sequence[str]) -> str:
    return " and ".join(names)
