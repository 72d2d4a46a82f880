"""Makes HTTP requests to a system under test, never through a proxy.

A proxy in the environment variables is ignored.
"""

from __future__ import annotations

import json
from urllib.request import ProxyHandler, Request, build_opener

from bench.load.http_client import Target

#: Opens URLs without a proxy.
DIRECT = build_opener(ProxyHandler({}))


def request(target: Target, path: str, body: object = None) -> Request:
    """Returns an HTTP request for ``path`` with the target's API key.

    The request posts ``body`` as JSON. If ``body`` is None, the request is a GET.
    """
    asked = Request(f"http://{target.host}:{target.port}{path}")
    if target.key:
        asked.add_header("Authorization", f"Bearer {target.key}")
    if body is not None:
        asked.data = json.dumps(body).encode()
        asked.add_header("Content-Type", "application/json")
    return asked
