"""The health check of a container: ``python -m compose.probe URL [WORDS]``. Needs only Python.

The exit status is 0 if the URL answers with a status of success, and the page contains all the
words.
"""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Sequence
from http.client import HTTPException

#: Opens Byline's own pages without the proxy that the environment may name.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
#: Seconds that the page may take to answer.
ANSWER_S = 4.0


def main(arguments: Sequence[str]) -> int:
    """Requests a page once. Returns 0 if the page contains all the words, else 1.

    ``arguments`` are the page's URL and the words.
    """
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
