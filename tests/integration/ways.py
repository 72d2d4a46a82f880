"""The three ways to ask the api: with the accelerator, under gunicorn, and Flask's test client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from api.app import create_app
from api.runtime import Runtime
from celery_app.settings import Settings
from tests.parts import ACCELERATED, Stack, free_port, wait_for

WAYS = ("accelerator", "gunicorn", "flask") if ACCELERATED else ("gunicorn", "flask")


class Http(httpx.Client):
    """An HTTP client of the api, served in one of the ways."""

    def attribute(self, json: object, **params: Any) -> httpx.Response:
        """Sends a POST request to ``/v1/attributions``."""
        return self.post("/v1/attributions", json=json, params=params)


@contextmanager
def opened(way: str, stack: Stack, **env: str) -> Iterator[Http]:
    """Serves another api on the stack's Redis in one of the ways, and yields a client."""
    ports = ("BYLINE_API_PORT", "BYLINE_API_METRICS_PORT")
    env = {name: str(free_port()) for name in ports} | env
    if way == "flask":
        environ = {k: v for k, v in {**stack.env, **env}.items() if k.startswith("BYLINE_")}
        runtime = Runtime(Settings.from_environ(environ))
        transport = httpx.WSGITransport(_as_a_server(create_app(runtime)))
        url = f"http://127.0.0.1:{env['BYLINE_API_PORT']}"
        try:
            with Http(transport=transport, base_url=url, timeout=40) as client:
                yield client
        finally:
            runtime.stop()
        return
    accelerator = "on" if way == "accelerator" else "off"
    api = stack.start_api(BYLINE_ACCELERATOR=accelerator, **env)
    try:
        with Http(base_url=f"http://127.0.0.1:{env['BYLINE_API_PORT']}", timeout=40) as client:
            wait_for(lambda: _alive(client) or not api.alive, 30, f"the api, {way}")
            assert api.alive, api.output
            yield client
    finally:
        api.stop()


def _as_a_server(app: Any) -> Any:
    """Returns the application as a server calls it, and httpx does not.

    A server detects the end of chunked bodies, and passes the bytes of a path on as Latin-1.
    """

    def answer(environ: dict[str, Any], start: Any) -> Any:
        path = environ["PATH_INFO"].encode().decode("latin-1")
        return app({**environ, "PATH_INFO": path, "wsgi.input_terminated": True}, start)

    return answer


def _alive(client: Http) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.TransportError:
        return False
