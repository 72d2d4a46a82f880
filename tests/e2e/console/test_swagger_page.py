"""The page /docs in a real browser: each example of the OpenAPI document can be executed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import Run
from tests.e2e.console.chromium import PATIENCE_MS, browser, needs_chromium
from tests.parts import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

__all__ = ["browser"]
pytestmark = needs_chromium

DOCUMENT: dict[str, Any] = json.loads((ROOT / "api" / "openapi.json").read_text("utf-8"))
POST: dict[str, Any] = DOCUMENT["paths"]["/v1/attributions"]["post"]["requestBody"]
#: Text of the example of a single message, which the examples of feedback are about.
SINGLE: str = POST["content"]["application/json"]["examples"]["single"]["value"]["text"]


@pytest.fixture
def page(browser: Browser, running: Run) -> Iterator[Page]:
    with browser.new_context(viewport={"width": 1280, "height": 1600}) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{running.api}/docs/")
        yield page


def opened(page: Page, operation: str) -> Locator:
    """Opens an operation, ready to be tried out."""
    block = page.locator(f"#operations-default-{operation}")
    block.locator(".opblock-summary-control").click()
    block.get_by_role("button", name="Try it out").click()
    return block


def executed(block: Locator) -> tuple[str, dict[str, Any]]:
    """Executes the operation; returns the status and the body of the answer."""
    block.get_by_role("button", name="Execute").click()
    live = block.locator(".live-responses-table .response")
    status = live.locator(".response-col_status").inner_text().split()[0]
    return status, json.loads(live.locator(".highlight-code code").first.inner_text())


def posted(page: Page, operation: str, example: str, explain: bool = False) -> Any:
    """Executes a POST with one of its named examples, which must succeed; returns the body."""
    block = opened(page, operation)
    block.locator("select.examples-select-element").select_option(example)
    if explain:
        row = block.locator('tr[data-param-name="explain"]')
        row.locator("select").select_option("true")
    status, body = executed(block)
    assert status in ("200", "202"), body
    return body


def test_single_message_is_attributed(page: Page) -> None:
    assert posted(page, "attribute", "single")["author"] == "Theodore Roosevelt"


def test_first_example_is_chosen_at_first(page: Page) -> None:
    status, body = executed(opened(page, "attribute"))
    assert (status, body["author"]) == ("200", "Theodore Roosevelt")


def test_many_messages_are_attributed_each_with_its_ref(page: Page) -> None:
    items = posted(page, "attribute", "bulk")["attributions"]
    assert [item["ref"] for item in items] == ["first", "second"]
    assert all("confidence" in item for item in items)


def test_explained_message_has_evidence(page: Page) -> None:
    assert posted(page, "attribute", "explained", explain=True)["evidence"]["parts"]


def test_attribution_is_read_by_the_id_of_the_example(page: Page, running: Run) -> None:
    id = running.attribute(SINGLE)["id"]
    status, body = executed(opened(page, "read"))
    assert (status, body["id"]) == ("200", id)


@pytest.mark.parametrize("example", ["feedback", "correction"])
def test_feedback_is_stored(page: Page, running: Run, example: str) -> None:
    running.attribute(SINGLE)
    assert posted(page, "learn", example)["correct"]


def test_every_named_example_is_executed_by_a_test() -> None:
    named = {
        name
        for methods in DOCUMENT["paths"].values()
        for operation in methods.values()
        for name in operation.get("requestBody", {})
        .get("content", {})
        .get("application/json", {})
        .get("examples", ())
    }
    assert named == {"single", "bulk", "explained", "feedback", "correction"}


@pytest.mark.parametrize("operation", ["figures", "models", "live", "ready"])
def test_operation_without_an_example_answers(page: Page, operation: str) -> None:
    assert executed(opened(page, operation))[0] == "200"
