"""Bodies around the size limit, with Werkzeug's server, which reads from the socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import httpx
import pytest
from werkzeug.serving import make_server

from tests.unit.api.fake_runtime import fake_app

LIMIT = 100


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    app = fake_app(BYLINE_MAX_BODY_BYTES=str(LIMIT), BYLINE_MAX_CHARACTERS="10")
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("size", "status"), [(LIMIT, 200), (LIMIT + 1, 413), (LIMIT + 2, 413), (10**6, 413)]
)
def test_body_around_the_limit_gets_a_response(url: str, size: int, status: int) -> None:
    response = httpx.post(f"{url}/v1/attributions", content=b" " * size, timeout=10)
    assert response.status_code == status
