"""The metrics of the processes next door, as Prometheus would read them."""

from __future__ import annotations

import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families

#: Opens pages of Byline's own, which no proxy of the environment leads to.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
#: Seconds that a process is given to answer.
ANSWER_S = 1.0

#: A sample's name, and its labels in the order of their names.
Series = tuple[str, tuple[tuple[str, str], ...]]


def scrape(url: str, families: Iterable[str]) -> dict[Series, float] | None:
    """Return the samples of some metric families; None where nobody answers."""
    try:
        with DIRECT.open(url, timeout=ANSWER_S) as response:
            text = response.read().decode()
    except (OSError, HTTPException):
        return None
    wanted = tuple(families)
    lines = (line for line in text.splitlines() if line.startswith(wanted))
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families("\n".join(lines) + "\n")
        for sample in family.samples
    }


class Counters:
    """What counters of several processes have gone up by, from look to look."""

    def __init__(self) -> None:
        self._last: dict[str, Mapping[Series, float]] = {}

    def growth(self, looks: Mapping[str, Mapping[Series, float] | None]) -> dict[Series, float]:
        """Return the growth of each series since the last call, over all processes.

        A process that is seen for the first time, or that does not answer, adds nothing; one
        that has started anew adds what it has counted since. One that is looked at no more is
        forgotten.
        """
        self._last = {process: last for process, last in self._last.items() if process in looks}
        grown: dict[Series, float] = defaultdict(float)
        for process, look in looks.items():
            if look is None:
                continue
            before, self._last[process] = self._last.get(process, look), look
            for series, value in look.items():
                last = before.get(series, 0.0)
                grown[series] += value - last if value >= last else value
        return grown
