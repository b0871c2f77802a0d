"""A real browser for tests: Chromium from the machine's packages, driven by Playwright."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.bundle import STATE

_UNPACKED = STATE / "services" / "chromium" / "start"
_OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]


@contextlib.contextmanager
def opened() -> Iterator[Browser]:
    """A browser; only one at a time."""
    program = str(_UNPACKED) if _UNPACKED.exists() else shutil.which("chromium")
    if not program:
        pytest.skip("no chromium on this machine; include/bootstrap.sh panel says why")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=_OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


def new_page(browser: Browser, width: int = 1400, height: int = 900, **options: Any) -> Page:
    """A page in a window of its own.

    Args:
      browser: The browser.
      width: Of the window, in pixels.
      height: Of the window, in pixels.
      **options: Of Playwright's `new_page`, such as `color_scheme`.
    """
    return browser.new_page(viewport={"width": width, "height": height}, **options)


def log_in(page: Page, url: str, user: str, password: str) -> None:
    """Logs in to an Airflow with its simple auth manager."""
    page.goto(f"{url}/auth/login")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda address: "/auth/login" not in address)
