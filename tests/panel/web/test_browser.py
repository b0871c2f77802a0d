"""The panel without Airflow in a browser: charts, keys, sorting, narrow and dark screens, the user's zone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.bundle import ROOT
from tests.panel import browser
from tests.panel.written import FIRST, SECOND, Written, written


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Address of the panel, served as `python -m mlmd_panel` does."""
    folder = written().folder
    command = [
        "-m",
        "mlmd_panel",
        "--mlmd",
        str(folder / "metadata.db"),
        "--roots",
        str(folder),
        "--port",
        "0",
    ]
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        yield next(line.split()[0] for line in lines if line.startswith("http")).rstrip("/")
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def opened() -> Iterator[Browser]:
    with browser.opened() as opened:
        yield opened


@pytest.fixture
def page(opened: Browser) -> Iterator[Page]:
    page = browser.new_page(opened, timezone_id="Asia/Tokyo", locale="en-GB")
    yield page
    page.close()


def _evaluation(made: Written) -> str:
    return f"/artifacts/{made.ids['compared']}"


def test_charts_are_drawn_and_nothing_is_complained_about(page: Page, url: str) -> None:
    errors: list[str] = []
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    for path in [_evaluation(written()), f"/artifacts/{written().ids['statistics']}"]:
        page.goto(url + path)
        for details in page.locator("details:has(.chart)").all():
            details.locator("summary").first.click()
        expect(page.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=20_000)
    for path in written().paths():
        page.goto(url + path)
    assert errors == []


def test_slash_goes_to_the_search_and_the_keyboard_reaches_the_content(page: Page, url: str) -> None:
    page.goto(f"{url}/runs")
    page.keyboard.press("Tab")
    expect(page.locator("a.skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.locator("#search")).to_be_focused()
    page.keyboard.type("Trainer")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=Trainer")


def test_a_column_is_sorted_by_its_button(page: Page, url: str) -> None:
    page.goto(url + _evaluation(written()))
    table = page.locator("table.sortable", has=page.get_by_role("columnheader", name="Examples")).first
    header = table.get_by_role("columnheader", name="Examples")
    column = header.evaluate("header => header.cellIndex")

    def values() -> list[float]:
        cells = table.locator(
            f"tbody tr td:nth-child({column + 1}), tbody tr th:nth-child({column + 1})"
        ).all()
        return [
            float(cell.inner_text().split()[0].replace(",", ""))
            for cell in cells
            if cell.inner_text().strip(" –")  # of a slice without a number they come last
        ]

    header.get_by_role("button").click()
    assert values() == sorted(values(), reverse=True)
    header.get_by_role("button").click()
    assert values() == sorted(values())
    assert len(set(values())) > 1
    header.get_by_role("button").click()
    page.goto(page.url)
    assert values() == sorted(values(), reverse=True), page.url
    assert header.get_attribute("aria-sort") == "descending"


def test_the_features_that_were_asked_for_stand_in_the_address(page: Page, url: str) -> None:
    page.goto(f"{url}/artifacts/{written().ids['statistics']}")
    rows = page.locator("[id^=features-] [data-name]")
    box, all_of_them = page.locator("input[data-filters]").first, rows.locator("visible=true").count()
    box.fill("fare")
    few = rows.locator("visible=true").count()
    page.goto(page.url)
    assert box.input_value() == "fare" and rows.locator("visible=true").count() == few < all_of_them


def test_times_are_in_the_users_zone(page: Page, url: str) -> None:
    page.goto(f"{url}/runs")
    time = page.locator("time[datetime]").first
    shown, utc = time.inner_text(), time.get_attribute("datetime")
    local = page.evaluate(
        "utc => new Date(utc).toLocaleString('en-GB', {timeZone: 'Asia/Tokyo', dateStyle: 'medium', timeStyle: 'short'})",
        utc,
    )
    assert shown == local


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_narrow_screen_light_and_dark(opened: Browser, url: str, scheme: str) -> None:
    ids = written().ids
    paths = [
        "/pipelines",
        "/runs",
        "/executions",
        "/artifacts",
        "/search?q=taxi",
        f"/runs/{ids[f'run {FIRST}']}",
    ]
    paths += [f"/artifacts/{ids[name]}" for name in ("compared", "statistics", "schema", "model", "outside")]
    paths += [f"/compare?base={ids[f'run {FIRST}']}&other={ids[f'run {SECOND}']}"]
    page = browser.new_page(opened, 400, 800, color_scheme=scheme)
    for path in paths:
        page.goto(url + path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= 400, (path, wide)
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, colour[4:-1].split(","))) / 3
    assert (brightness < 80) == (scheme == "dark"), colour
    page.close()


def test_without_a_browser_its_tests_are_skipped_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "_UNPACKED", tmp_path / "start")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(pytest.skip.Exception, match=r"no chromium on this machine; include/bootstrap\.sh"):
        with browser.opened():
            pass


def test_thresholds_are_edited_and_past_runs_judged_again(page: Page, url: str) -> None:
    page.goto(f"{url}/runs/{written().ids['run judged many']}/verdict")
    row = page.locator("form[data-by-button] tbody tr").last
    row.locator("select[aria-label='Metric of a new threshold']").select_option("sparse_categorical_accuracy")
    row.locator("input").fill("0.5")
    page.get_by_role("button", name="Judge again").click()
    expect(page.locator("#counts")).to_contain_text("1 would have passed by TFMA's rule")
    assert "a0.bound=0.5" in page.url
    page.get_by_role("button", name="Copy").click()
    expect(page.locator("button[data-copies]")).not_to_have_text("Copy")
    chosen = page.evaluate("getSelection().toString()")
    assert "lower_bound" in chosen and "sparse" in chosen.lower()
    page.get_by_role("link", name="Thresholds as they were").click()
    expect(page.locator("#counts")).to_contain_text("0 would have passed by TFMA's rule")


def test_a_point_of_a_trend_opens_its_run(page: Page, url: str) -> None:
    page.goto(f"{url}/trends?pipeline=taxi&metrics=area")
    page.locator(".chart .points path").first.click(force=True)
    page.wait_for_url(f"**/runs/{written().ids[f'run {FIRST}']}")
