"""A worker and an api start on other hosts, as the page operating.md says.

The two fences for other hosts are run with the test's Redis in place of the page's Redis.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import reduce
from pathlib import Path

import httpx
import pytest

from tests.e2e.docs.pages import FENCE, HOSTS, needs_tools, page_text
from tests.parts import ROOT, Part, Stack, free_port, wait_for
from tests.tls import PASSWORD, documented_user, guarded

pytestmark = needs_tools


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Stack]:
    """A Redis as on the page operating.md, and the files of the other hosts."""
    stack = Stack(tmp_path, BYLINE_MODEL="", BYLINE_METRICS_PORT=str(free_port()))
    try:
        guarded(stack, "127.0.0.1", f"user byline {documented_user()}", "user default off")
        (tmp_path / "redis-password").write_text(PASSWORD + "\n")
        with (tmp_path / "keys.txt").open("wb") as keys:
            make = [sys.executable, "-m", "api.access.keys", "test"]
            made = subprocess.run(make, stdout=keys, stderr=subprocess.PIPE, check=True, cwd=ROOT)
        stack.env["TEST_KEY"] = made.stderr.split()[-1].decode()
        yield stack
    finally:
        stack.close()


@pytest.mark.skipif(
    None in map(shutil.which, ("redis-server", "openssl")) and os.environ.get("CI") != "true",
    reason="needs redis-server and openssl",
)
def test_a_worker_and_an_api_start_on_other_hosts(elsewhere: Stack) -> None:
    port = elsewhere.redis.connection_pool.connection_kwargs["port"]
    places = {
        "redis.example.org:6379": f"localhost:{port}",
        "/etc/byline/ca.pem": str(elsewhere.folder / "cert.pem"),
        "/etc/byline/redis-password": str(elsewhere.folder / "redis-password"),
        "/srv/byline/model": str(ROOT / "model" / "weights" / "ngram"),
        "=keys.txt": f"={elsewhere.folder / 'keys.txt'}",
        "API_HOST=0.0.0.0": "API_HOST=127.0.0.1",
        ".venv/bin/python": sys.executable,
    }
    fences = [text for _, text in FENCE.findall(page_text("operating")) if text.startswith(HOSTS)]
    assert len(fences) == len(HOSTS)
    parts: list[Part] = []
    for fence in fences:
        own = reduce(lambda text, place: text.replace(*place), places.items(), fence)
        parts.append(elsewhere.start(["bash", "-euc", own], f"host-{len(parts)}"))

    def answered() -> bool:
        assert all(part.alive for part in parts), [part.output for part in parts]
        key = {"Authorization": f"Bearer {elsewhere.env['TEST_KEY']}"}
        url, text = f"{elsewhere.url}/v1/attributions", {"text": "from another host"}
        with suppress(httpx.TransportError):
            return httpx.post(url, json=text, headers=key, timeout=40).status_code == 200
        return False

    wait_for(answered, 60, "an answer")
    assert elsewhere.redis.zscore("byline:workers", "byline@worker-1")
