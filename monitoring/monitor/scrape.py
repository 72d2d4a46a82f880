"""Reads the metrics of Byline's other processes, and computes how much their counters grow."""

from __future__ import annotations

import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Mapping
from http.client import HTTPException

from prometheus_client.parser import text_string_to_metric_families

#: Opens pages of Byline's own processes, without the proxy that the environment may name.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
#: Seconds within which a process must answer.
TIMEOUT_S = 1.0

#: A sample's name, and its pairs of label and value, sorted by label.
Series = tuple[str, tuple[tuple[str, str], ...]]


def scrape(url: str, families: Iterable[str]) -> dict[Series, float] | None:
    """Returns the values of the series on the metrics page ``url``; None if the page can't be read.

    Leaves out series whose names begin with none of ``families``.
    """
    try:
        with DIRECT.open(url, timeout=TIMEOUT_S) as response:
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


class CounterGrowth:
    """Computes how much the counters of several processes have grown from scrape to scrape."""

    def __init__(self) -> None:
        self._last: dict[str, Mapping[Series, float]] = {}

    def growth(self, pages: Mapping[str, Mapping[Series, float] | None]) -> dict[Series, float]:
        """Returns the growth of each series since the last call, summed over all processes.

        ``pages`` has the samples of each process, or None for a process that did not answer. The
        first answer of a process adds nothing.
        """
        # Processes that are not in ``pages`` are forgotten.
        self._last = {process: last for process, last in self._last.items() if process in pages}
        grown: dict[Series, float] = defaultdict(float)
        for process, page in pages.items():
            if page is None:
                continue
            before, self._last[process] = self._last.get(process, page), page
            for series, value in page.items():
                last = before.get(series, 0.0)
                # If a count has fallen, the process has restarted and counted from 0.
                grown[series] += value - last if value >= last else value
        return grown
