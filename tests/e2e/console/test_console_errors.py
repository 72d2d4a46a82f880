"""The console explains an empty message, contradicting feedback, and a firing alert."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.e2e.conftest import Run
from tests.e2e.console.chromium import PATIENCE_MS, browser, needs_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

__all__ = ["browser"]
pytestmark = needs_chromium


@pytest.fixture
def page(browser: Browser, running: Run) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{running.api}/")
        yield page


@pytest.mark.parametrize("text", ["", " \n ", "\x1c\u3000"])
def test_empty_box_asks_for_sentences_and_sends_nothing(page: Page, text: str) -> None:
    from playwright.sync_api import expect

    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Attribute").click()
    expect(page.locator("#answer .notice")).to_have_text("Write a few sentences first.")
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    assert not [url for url in sent if "/v1/attributions" in url]


def test_feedback_that_contradicts_is_corrected_at_a_click(page: Page, running: Run) -> None:
    from playwright.sync_api import expect

    text = "Feedback on this message was given by mistake, and is corrected by somebody."
    id = running.attribute(text)["id"]
    first, second = running.model["card"]["authors"][:2]
    told = {"id": id, "author": first, "corrects": True}
    httpx.post(f"{running.api}/v1/feedback", json=told, timeout=20).raise_for_status()
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Attribute").click()
    page.get_by_label("Who wrote it really?").select_option(second)
    page.get_by_role("button", name="Tell").click()
    said = page.locator("#answer .said")
    expect(said).to_contain_text("Another author was given before.")
    page.get_by_role("button", name="Correct it").click()
    expect(said).to_have_text(f"Noted: {second}, and no longer {first}.")


def alert(runbook: str) -> dict[str, str]:
    return {
        "name": "NoWorker",
        "severity": "critical",
        "summary": "no worker",
        "description": "None signs in.",
        "since": "2026-01-02T03:04:05Z",
        "runbook": runbook,
    }


PATH = "/alerting/runbooks/NoWorker.md"


@pytest.mark.parametrize(
    ("runbook", "docs", "href"),
    [
        (PATH, "", PATH),
        (PATH, "https://example.org/main/", f"https://example.org/main{PATH}"),
        ("https://example.org/yours", "", "https://example.org/yours"),
        (PATH, None, None),
        ("javascript:alert(1)", "", None),
        ("//example.org/evil", "", None),
    ],
)
def test_runbook_of_an_alert_is_a_link_if_it_leads_somewhere(
    page: Page, runbook: str, docs: str | None, href: str | None
) -> None:
    from playwright.sync_api import expect

    def figures(route: Route) -> None:
        links: dict[str, Any] = {"alertmanager": "http://127.0.0.1:9096", "docs": docs}
        route.fulfill(json={"points": [], "alerts": {"firing": [alert(runbook)]}, "links": links})

    page.route("**/v1/figures*", figures)
    shown = page.locator("#alerts-firing li")
    expect(shown).to_contain_text(runbook.removeprefix("/"))
    links = shown.get_by_role("link")
    if href is None:
        expect(links).to_have_count(0)
    else:
        expect(links).to_have_attribute("href", href)


def test_link_to_a_runbook_leads_to_its_text(page: Page, running: Run) -> None:
    links = httpx.get(f"{running.api}/v1/figures", timeout=20).json()["links"]
    assert links["docs"] == ""
    response = page.goto(running.api + links["docs"] + PATH)
    assert response is not None
    assert response.status == 200
    assert page.inner_text("body").startswith("# NoWorker")
