"""The console, in a real browser and with a real system behind it."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from model.canonical import canonical
from model.training.corpus import HELD_OUT_FOLD, Message, load_sotu
from tests.e2e.conftest import Run
from tests.e2e.console.chromium import PATIENCE_MS, browser, needs_chromium
from tests.parts import ROOT, wait_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

__all__ = ["browser"]
pytestmark = needs_chromium
UPDATE = os.environ.get("UPDATE_SCREENSHOTS") == "1"
#: Number of figures before a screenshot: five minutes of figures for the README's screenshots.
WORTH_A_PICTURE = 150 if UPDATE else 3

#: The default model is sure of its author.
SPEECH = (
    "Our job creators need more affordable loans, and our workers need jobs that can't be "
    "outsourced. Tonight, I'm asking Congress to help the small town where a young mom works two "
    "jobs so that her kids can go to college. That's why we'll keep fighting for middle-class "
    "families who play by the rules."
)
#: Has a character of two UTF-16 units, a letter that NFC composes, and text that looks like HTML.
ODD = f"  \U0001f33e In the cafe\u0301 <i>downtown</i> & elsewhere:\n{SPEECH}\n"


class Visit:
    """The open console page, its errors, and its requests to other sites."""

    def __init__(self, page: Page, origin: str) -> None:
        self.page = page
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", lambda line: self._note(line.type, line.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._asked(request.url, origin))

    def attribute(self, text: str) -> None:
        self.page.get_by_label("Message", exact=True).fill(text)
        self.page.get_by_role("button", name="Attribute").click()

    def tile(self, name: str) -> Any:
        return self.page.locator("#tiles > div", has_text=name).locator("dd").first

    def _note(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.errors.append(text)

    def _asked(self, url: str, origin: str) -> None:
        if not url.startswith(f"{origin}/"):
            self.elsewhere.append(url)


@pytest.fixture
def visit(browser: Browser, running: Run) -> Iterator[Visit]:
    with browser.new_context(viewport={"width": 1280, "height": 900}) as context:
        visit = Visit(context.new_page(), running.api)
        visit.page.goto(f"{running.api}/")
        yield visit
    assert visit.elsewhere == []
    assert visit.errors == []


def test_the_served_model_is_shown(visit: Visit, running: Run) -> None:
    from playwright.sync_api import expect

    expect(visit.page.locator("#ready")).to_contain_text("ready")
    expect(visit.page.locator("#model")).to_have_text(
        f"{running.model['card']['version']} · {running.model['device']} · 1 worker"
    )


def test_a_message_has_its_author_with_the_evidence_in_the_text(visit: Visit, running: Run) -> None:
    from playwright.sync_api import expect

    given = _explained(running, ODD)
    visit.page.get_by_label("Message", exact=True).fill(ODD)
    visit.page.keyboard.press("Control+Enter")

    verdict = visit.page.locator("#answer .verdict strong")
    expect(verdict).to_have_text(given["author"])
    expect(visit.page.get_by_label("Candidates").get_by_role("listitem")).to_have_count(3)
    evidence = visit.page.locator("#answer .evidence")
    assert evidence.text_content() == canonical(ODD)
    parts = sorted(given["evidence"]["parts"], key=lambda part: part["start"])
    assert evidence.locator("mark").all_text_contents() == [part["text"] for part in parts]
    sides = evidence.locator("mark").evaluate_all("marks => marks.map(mark => mark.className)")
    assert sides == ["against" if part["weight"] < 0 else "for" for part in parts]
    expect(visit.page.locator("#answer .took")).to_contain_text("from the cache")


def test_feedback_about_the_author_is_accepted(visit: Visit, running: Run) -> None:
    from playwright.sync_api import expect

    visit.attribute(SPEECH)
    author = running.model["card"]["authors"][0]
    visit.page.get_by_label("Who wrote it really?").select_option(author)
    visit.page.get_by_role("button", name="Tell").click()
    expect(visit.page.locator("#answer .said")).to_have_text(f"Noted: {author}.")


def test_the_figures_are_shown_and_updated(visit: Visit, running: Run) -> None:
    from playwright.sync_api import expect

    visit.attribute(SPEECH)
    expect(visit.tile("Messages/s")).to_have_text(re.compile(r"\d"), timeout=PATIENCE_MS)
    charts = visit.page.get_by_role("img")
    expect(charts).to_have_count(12)
    throughput = visit.page.get_by_role("img", name=re.compile("^Throughput"))
    before = throughput.get_attribute("aria-label")
    expect(throughput).not_to_have_attribute("aria-label", str(before), timeout=PATIENCE_MS)
    assert "NaN" not in visit.page.locator("main").inner_text()


def test_the_mistake_in_a_message_is_shown(visit: Visit) -> None:
    from playwright.sync_api import expect

    visit.attribute("x" * 20_001)
    expect(visit.page.locator("#answer .notice")).to_contain_text("20,001")
    [error] = visit.errors
    assert "422" in error
    visit.errors.clear()


def test_without_figures_the_page_shows_so_and_tries_again(visit: Visit) -> None:
    from playwright.sync_api import expect

    expect(visit.tile("Messages/s")).to_have_text(re.compile(r"\d"), timeout=PATIENCE_MS)
    visit.page.route("**/v1/figures*", lambda route: route.abort())
    state = visit.page.locator("#figures-state")
    expect(state).to_contain_text("No new figures", timeout=PATIENCE_MS)
    visit.page.unroute("**/v1/figures*")
    expect(state).to_be_hidden(timeout=PATIENCE_MS)
    assert all("ERR_FAILED" in error for error in visit.errors)
    visit.errors.clear()


def test_alerts_are_shown_the_worst_first_and_as_text(visit: Visit) -> None:
    from playwright.sync_api import expect

    firing = [
        {
            "name": name,
            "severity": severity,
            "summary": f"<b>{name}</b> is 42",
            "description": "More than it should be.",
            "since": "2026-01-02T03:04:05Z",
            "runbook": f"/alerting/runbooks/{name}.md",
        }
        for name, severity in (("NoWorker", "critical"), ("QueueOld", "warning"))
    ]
    said: list[dict[str, Any] | None] = [{"firing": firing}]
    links = {"alertmanager": "http://127.0.0.1:9096"}

    def figures(route: Route) -> None:
        route.fulfill(json={"points": [], "alerts": said[-1], "links": links})

    visit.page.route("**/v1/figures*", figures)
    state = visit.page.locator("#alerts-state")
    shown = visit.page.locator("#alerts-firing").get_by_role("listitem")
    expect(state).to_have_text("2 alerts firing")
    expect(shown).to_have_count(2)
    expect(shown.first).to_contain_text("<b>NoWorker</b> is 42")
    expect(shown.first).to_contain_text("alerting/runbooks/NoWorker.md")
    for told, words in (({"firing": []}, "none is firing"), (None, "no word from Alertmanager")):
        said.append(told)
        expect(state).to_have_text(words, timeout=PATIENCE_MS)
        expect(shown).to_have_count(0)
    # Without any response, the page does not say that all is well.
    said.append({"firing": []})
    expect(state).to_have_text("none is firing", timeout=PATIENCE_MS)
    visit.page.unroute("**/v1/figures*")
    visit.page.route("**/v1/figures*", lambda route: route.abort())
    expect(state).to_have_text("no word from Alertmanager", timeout=PATIENCE_MS)
    assert all("ERR_FAILED" in error for error in visit.errors)
    visit.errors.clear()


def test_a_key_is_asked_for_and_kept_in_this_tab_only(visit: Visit, running: Run) -> None:
    from playwright.sync_api import expect

    visit.page.route("**/v1/**", _guarded)
    visit.page.goto(f"{running.api}/")
    visit.page.get_by_label("This api asks for a key").fill("the-key")
    visit.page.keyboard.press("Enter")
    expect(visit.page.locator("#model")).to_contain_text(running.model["card"]["version"])
    expect(visit.page.locator("#unlock")).to_be_hidden()
    visit.attribute(SPEECH)
    expect(visit.page.locator("#answer .verdict")).to_be_visible()
    assert visit.page.evaluate("Object.values(sessionStorage)") == ["the-key"]
    assert visit.page.evaluate("localStorage.length + document.cookie.length") == 0
    assert all("401" in error for error in visit.errors)
    visit.errors.clear()


@pytest.mark.parametrize(("scheme", "name"), [("light", "console"), ("dark", "console-dark")])
def test_a_screenshot_is_taken(
    browser: Browser, running: Run, tmp_path: Path, scheme: str, name: str
) -> None:
    """With UPDATE_SCREENSHOTS=1, writes the screenshots of the README."""
    from playwright.sync_api import expect

    chance = random.Random(1)
    wait_for(lambda: _figures_after_traffic(running, chance) >= WORTH_A_PICTURE, 420, "figures")
    with browser.new_context(
        viewport={"width": 1280, "height": 900}, color_scheme=scheme
    ) as context:
        visit = Visit(context.new_page(), running.api)
        visit.page.goto(f"{running.api}/")
        visit.attribute(SPEECH)
        expect(visit.page.locator("#answer .evidence")).to_be_visible()
        expect(visit.tile("Messages/s")).to_have_text(re.compile(r"\d"), timeout=PATIENCE_MS)
        visit.page.evaluate("document.activeElement.blur()")
        folder = ROOT / "docs" / "images" if UPDATE else tmp_path
        folder.mkdir(exist_ok=True)
        visit.page.screenshot(path=folder / f"{name}.png", full_page=True)
    assert (folder / f"{name}.png").stat().st_size > 10_000


def test_a_narrow_screen_shows_the_whole_page(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 800})
    visit.attribute(SPEECH)
    visit.page.locator("#answer .evidence").wait_for()
    assert visit.page.evaluate("document.documentElement.scrollWidth") == 390


def _guarded(route: Route) -> None:
    if route.request.headers.get("authorization") == "Bearer the-key":
        route.fallback()
    else:
        route.fulfill(status=401, json={"title": "Unauthorized", "detail": "a key is needed"})


@cache
def _passages() -> Sequence[Message]:
    """Returns messages that the model has not seen, so that the quality signals stay normal."""
    return load_sotu().part(HELD_OUT_FOLD)


def _explained(running: Run, text: str) -> dict[str, Any]:
    url = f"{running.api}/v1/attributions"
    answer = httpx.post(url, json={"text": text}, params={"explain": True}, timeout=20)
    return dict(answer.raise_for_status().json())


def _figures_after_traffic(running: Run, chance: random.Random) -> int:
    """Sends messages, a third of them repeated. Returns the number of stored figures."""
    messages = [chance.choice(_passages()) for _ in range(chance.randint(4, 16))]
    # A text without its first words is a new text.
    texts = [message.text.split(" ", chance.randint(0, 12))[-1] for message in messages]
    again = [message.text for message in _passages()[: len(texts) // 2]]
    body = {"messages": [{"text": text} for text in (*texts, *again)]}
    answers = httpx.post(f"{running.api}/v1/attributions", json=body, timeout=20)
    first = answers.raise_for_status().json()["attributions"][0]
    learned = {"id": first["id"], "author": messages[0].author}
    said = httpx.post(f"{running.api}/v1/feedback", json=learned, timeout=20)
    assert said.status_code in (202, 409), said.text  # the label may have been sent before
    figures = httpx.get(f"{running.api}/v1/figures", params={"points": 300}, timeout=20)
    return len(figures.raise_for_status().json()["points"])
