"""A real browser for tests of pages: Chromium, driven by Playwright."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
PLAYWRIGHT = importlib.util.find_spec("playwright")
missing = [
    name for name, is_there in (("chromium", CHROMIUM), ("playwright", PLAYWRIGHT)) if not is_there
]
needs_chromium = pytest.mark.skipif(
    bool(missing) and os.environ.get("CI") != "true", reason=f"not installed: {', '.join(missing)}"
)

OPTIONS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
#: Milliseconds that a page may take for what a test waits for.
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of one module."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*OPTIONS])
        yield browser
        browser.close()
