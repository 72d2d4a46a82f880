"""Flower's pages in a real browser: what works, and what the worker refuses, with its reason."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from celery_app.worker.remote_control import REFUSED
from tests.e2e.console.chromium import PATIENCE_MS, browser, needs_chromium
from tests.parts import Stack, free_port, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

__all__ = ["browser"]
pytestmark = needs_chromium

LOGIN = ("byline", "a password")
NODE = "byline@one"
QUEUE = "attributions.vowels-1"


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A worker, an api and Flower."""
    stack = Stack(Path(tmp_path_factory.mktemp("flower")))
    try:
        stack.valkey()
        stack.worker()
        stack.api()
        stack.env["FLOWER_URL"] = f"http://127.0.0.1:{free_port()}"
        port = stack.env["FLOWER_URL"].rpartition(":")[2]
        command = [sys.executable, "-m", "celery", "-A", "celery_app", "flower"]
        command += ["--address=127.0.0.1", f"--port={port}", "--logging=error"]
        stack.start(command, "flower", FLOWER_BASIC_AUTH=":".join(LOGIN))
        wait_for(lambda: knows_worker(stack), 60, "Flower to know the worker")
        yield stack
    finally:
        stack.close()


def knows_worker(stack: Stack) -> bool:
    try:
        workers = httpx.get(f"{stack.env['FLOWER_URL']}/api/workers", auth=LOGIN, timeout=10)
    except httpx.TransportError:
        return False
    return "active_queues" in workers.json().get(NODE, {})


@pytest.fixture
def page(browser: Browser, serving: Stack) -> Iterator[Page]:
    user, password = LOGIN
    login = {"username": user, "password": password}
    with browser.new_context(
        base_url=serving.env["FLOWER_URL"],
        http_credentials=login,  # type: ignore[arg-type]  # playwright's own type is a TypedDict
        viewport={"width": 1280, "height": 900},
    ) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto("/")  # from here on, the browser sends the login to all paths
        yield page


def test_page_of_the_broker_lists_the_queue_with_its_messages(page: Page) -> None:
    from playwright.sync_api import expect

    page.goto("/broker")
    expect(page.locator(".broker-url")).to_contain_text("redis://")
    expect(messages_of_queue(page)).to_have_text("0")


def messages_of_queue(page: Page) -> Locator:
    """Returns the cell of the page of the broker that has the number of messages."""
    row = page.locator("#queue-table tbody tr").filter(has_text=QUEUE)
    return row.locator("td").nth(1)


def told(page: Page, kind: str) -> str:
    """Returns what the page says after a click, as an error or a success, and closes it."""
    toast = page.locator(f"#toast-container .text-bg-{kind}")
    text = toast.inner_text()
    toast.get_by_label("Close").click()
    return text


@pytest.mark.parametrize("button", ["Grow", "Shrink"])
def test_larger_or_smaller_pool_is_refused_with_the_reason(page: Page, button: str) -> None:
    page.goto(f"/worker/{NODE}")
    page.get_by_role("button", name=button).click()
    assert REFUSED["pool_grow"] in told(page, "danger")


def test_autoscale_is_refused_with_the_reason(page: Page) -> None:
    page.goto(f"/worker/{NODE}")
    page.locator("#min-autoscale").fill("1")
    page.locator("#max-autoscale").fill("4")
    page.locator("#worker-pool-autoscale").click()
    assert REFUSED["autoscale"] in told(page, "danger")


def test_restart_of_the_pool_is_refused_with_the_reason(page: Page) -> None:
    page.goto(f"/worker/{NODE}")
    page.locator("#worker-group").click()
    page.get_by_role("button", name="Restart Pool").click()
    assert REFUSED["pool_restart"] in told(page, "danger")


@pytest.mark.parametrize(
    ("button", "command", "kind"),
    [
        ("Apply", "rate_limit", "danger"),
        # Flower shows nothing of an error here, so the refusal comes as a success that says so.
        ("Soft", "time_limit", "success"),
        ("Hard", "time_limit", "success"),
    ],
)
def test_limit_of_the_task_is_refused_with_the_reason(
    page: Page, button: str, command: str, kind: str
) -> None:
    page.goto(f"/worker/{NODE}")
    page.locator("#worker-tab-limits").click()
    row = page.locator("#limits-table tr").filter(has_text="byline.attribute")
    label = "Rate limit" if command == "rate_limit" else "Timeout"
    row.get_by_label(label).fill("5")
    row.get_by_role("button", name=button).click()
    text = told(page, kind)
    assert REFUSED[command] in text
    assert text.startswith(("Failed", "refused: "))


def test_consumer_of_a_queue_is_cancelled_and_added_again(page: Page, serving: Stack) -> None:
    from playwright.sync_api import expect

    page.goto(f"/worker/{NODE}")
    page.locator("#worker-tab-queues").click()
    page.get_by_role("button", name="Cancel Consumer").click()
    assert QUEUE in told(page, "success")
    assert serving.attribute({"text": "nobody listens"}, wait=0.5).status_code == 202
    page.goto("/broker")
    expect(messages_of_queue(page)).to_have_text("1")
    page.goto(f"/worker/{NODE}")
    page.locator("#worker-tab-queues").click()
    page.get_by_placeholder("New consumer").fill(QUEUE)
    page.get_by_role("button", name="Add").click()
    assert QUEUE in told(page, "success")
    assert serving.attribute({"text": "somebody listens"}, wait=20).status_code == 200
    page.locator("#worker-group").click()
    page.get_by_role("button", name="Refresh", exact=True).click()
    told(page, "success")
    page.goto(f"/worker/{NODE}")
    page.locator("#worker-tab-queues").click()
    expect(page.locator("#worker-queues tr")).to_have_count(1)


def test_worker_still_serves(serving: Stack) -> None:
    assert serving.attribute({"text": "after all of that"}).status_code == 200
