"""Goodput: the highest rate that a system holds within a bound on its latency."""

from __future__ import annotations

from collections.abc import Callable

from bench.report.results import Run

#: Milliseconds within which 95 % of the requests must be answered: the P95 Byline came with.
BOUND_MS = 55.0
#: Share of the messages that may fail where a rate counts as held.
MAY_FAIL = 0.001
#: From one rate to the next at first, each further step the square of the last; how many are tried.
STEP = 1.12
MOST_STEPS = 7


def held(run: Run) -> bool:
    """Returns whether a run at a rate held it."""
    # What is not answered as fast as it is due waits, so the bound on waiting holds the rate.
    unanswered = run.totals.sent - run.totals.answered
    return 0 < run.latency.p95_ms <= BOUND_MS and unanswered <= MAY_FAIL * run.totals.sent


def search(measure: Callable[[float], Run], begin: float) -> Run | None:
    """Returns the run at the highest rate held; None where none was.

    ``measure(rate)`` runs at a rate. It begins at ``begin``, in messages per second, goes up for
    as long as rates are held, or down until one is, and ends with a rate between the two.
    """
    best: Run | None = None
    rate, too_much = begin, float("inf")
    for number in range(MOST_STEPS):
        run = measure(rate)
        if held(run):
            best = run
        else:
            too_much = rate
        here = 0.0 if best is None else best.scenario.rate or 0.0
        if best is None:
            rate /= STEP**2
        elif too_much == float("inf"):
            rate *= STEP ** (2**number)
        elif too_much / here > STEP**0.75:
            rate = (here * too_much) ** 0.5
        else:
            break
    return best
