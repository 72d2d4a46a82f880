"""A container's health check: ``python -m compose.probe URL [WORDS]``. Needs nothing but Python.

Ends with 0 where the page answers with status 200 and, if told so, with some words in it.
"""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException

#: Opens pages of Byline's own, which no proxy of the environment leads to.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
#: Seconds that the page is given.
ANSWER_S = 4.0


def main(arguments: Sequence[str]) -> int:
    """Looks once; returns the exit status."""
    url, *words = arguments
    try:
        with DIRECT.open(url, timeout=ANSWER_S) as response:
            page = response.read().decode()
    except (OSError, HTTPException) as error:
        print(f"{url}: {error}", file=sys.stderr)
        return 1
    if missing := [word for word in words if word not in page]:
        print(f"{url} lacks {', '.join(missing)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
