"""Searches for a system's goodput: the highest rate that keeps its P95 latency within a bound."""

from __future__ import annotations

from collections.abc import Callable

from bench.report.results import Run

#: Milliseconds within which 95 % of the requests must be answered: the P95 of Byline's first
#: version.
BOUND_MS = 55.0
#: Maximum share of failed messages at a rate that the system holds.
MAY_FAIL = 0.001
#: A search that raises the rate multiplies it by ``STEP``, then by ``STEP`` ** 2, then by ``STEP``
#: ** 4, and so on. A search that lowers the rate divides it by ``STEP`` ** 2 each time.
STEP = 1.12
#: Maximum number of rates that are tried.
MAX_STEPS = 7


def held(run: Run) -> bool:
    """Returns whether the system held the rate of ``run``.

    A rate is held if the P95 latency is at most ``BOUND_MS``, and if at most the share ``MAY_FAIL``
    of the messages has no answer.
    """
    # A system that is slower than the rate makes requests wait, so that the P95 exceeds the bound.
    unanswered = run.totals.sent - run.totals.answered
    return 0 < run.latency.p95_ms <= BOUND_MS and unanswered <= MAY_FAIL * run.totals.sent


def search(measure: Callable[[float], Run], begin: float) -> Run | None:
    """Returns the run at the highest rate that the system held; None if it held no rate.

    ``measure`` gets a rate in messages per second, runs the load at this rate, and returns the
    report. The search begins at the rate ``begin``, and tries at most :data:`MAX_STEPS` rates.
    """
    best: Run | None = None
    rate, too_much = begin, float("inf")
    for number in range(MAX_STEPS):
        run = measure(rate)
        if held(run):
            best = run
        else:
            too_much = rate
        here = 0.0 if best is None else best.scenario.rate or 0.0
        if best is None:
            rate /= STEP**2  # lower, until a rate is held
        elif too_much == float("inf"):
            rate *= STEP ** (2**number)  # higher, until a rate is not held
        elif too_much / here > STEP**0.75:
            rate = (here * too_much) ** 0.5  # between a rate that is held and a rate that is not
        else:
            break
    return best
