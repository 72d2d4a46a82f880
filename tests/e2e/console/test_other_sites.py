"""A page of another site, in a real browser on this machine, can't use Byline."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.e2e.conftest import Run
from tests.e2e.console.chromium import CHROMIUM, OPTIONS, needs_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = needs_chromium

#: Name of the other site. Its owner can make the name lead to this machine.
SITE = "evil.example"
#: Sends a POST request with the login that the browser remembers. Returns the status; 0 if the
#: browser hides the answer from the page.
POST = """async ([url, body, type]) => {
    const options = {method: "POST", mode: type ? "cors" : "no-cors", credentials: "include", body};
    if (type) options.headers = {"Content-Type": type};
    try { return (await fetch(url, options)).status; } catch (error) { return 0; }
}"""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """Serves the page of the other site, and yields the page's URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><title>evil</title>")

        def log_message(self, *_: object) -> None:
            """Logs nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{SITE}:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture
def page() -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    rules = f"--host-resolver-rules=MAP {SITE} 127.0.0.1"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*OPTIONS, rules])
        yield browser.new_page()
        browser.close()


@pytest.mark.parametrize(("part", "path"), [("api", "/"), ("monitor", "/metrics")])
def test_requests_under_the_name_of_another_site_are_refused(
    page: Page, running: Run, part: str, path: str
) -> None:
    """DNS rebinding: for the browser, the page and Byline's answer are of the same site."""
    answer = page.goto(f"http://{SITE}:{running.ports[part]}{path}")
    assert answer is not None
    assert answer.status == 421
    asked = {"api": "/v1/attributions", "monitor": "/alerts"}[part]
    body = '{"text": "sent under the name of another site"}'
    assert page.evaluate(POST, [asked, body, "application/json"]) == 421


def test_a_page_of_another_site_can_ask_nothing(page: Page, running: Run, site: str) -> None:
    page.goto(site)
    text = "sent from a page of another site"
    for kind in ("", "text/plain", "application/json"):
        asked = [f"{running.api}/v1/attributions", json.dumps({"text": text}), kind]
        assert page.evaluate(POST, asked) == 0
    assert running.attribute(text)["cached"] is False


def test_a_page_of_another_site_can_stop_no_worker_through_flower(
    page: Page, running: Run, site: str
) -> None:
    password = (running.folder / "state" / "flower-password").read_text().strip()
    place = f"127.0.0.1:{running.ports['flower']}"
    login = page.goto(f"http://byline:{password}@{place}/workers")
    assert login is not None
    assert login.status == 200
    known = httpx.get(f"http://{place}/workers?json=1", auth=("byline", password)).json()["data"]
    page.goto(site)
    with page.expect_response(lambda response: "/shutdown/" in response.url) as answer:
        page.evaluate(POST, [f"http://{place}/api/worker/shutdown/{known[0]['hostname']}", "", ""])
    assert answer.value.status == 403, "with the password, or it would be 401"
    assert running.attribute("The worker is still there.")["candidates"]
