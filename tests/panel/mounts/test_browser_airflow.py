"""The panel as people see it: in a browser, in the tabs of a running Airflow, after the demo."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import FrameLocator, Page, expect

from tests.bundle import ROOT, Demo
from tests.panel import browser
from tests.scheduler import Scheduler, running

# Letters that mean something in an address, as in the id of the demo's run. Trained for a few steps only, so that its model
# is worse.
_WORSE_RUN = "by_hand+2:b"


@pytest.fixture(scope="module")
def airflow(demo: Demo) -> Iterator[tuple[str, Scheduler]]:
    """The demo's run by its id, and its Airflow, running, after a worse run."""
    bundle = demo.bundle
    shutil.copy(ROOT / "dags" / "taxi.py", bundle.folder / "dags")
    with bundle.dag_bundles(dags=bundle.folder / "dags"), running(bundle, print) as client:
        few_steps = {"train_args": {"num_steps": 12}}
        assert client.wait_for_run("taxi", client.trigger("taxi", _WORSE_RUN, few_steps)) == "success"
        yield demo.run_id, client


@pytest.fixture(scope="module")
def page(airflow: tuple[str, Scheduler]) -> Iterator[Page]:
    _, client = airflow
    with browser.opened() as opened:
        page = browser.new_page(opened)
        browser.log_in(page, client.url, client.user, client.password)
        page.errors = []  # type: ignore[attr-defined]
        page.on("console", lambda line: line.type == "error" and page.errors.append(line.text))  # type: ignore[attr-defined]
        yield page


def _tab(page: Page, client: Scheduler, path: str) -> FrameLocator:
    page.goto(f"{client.url}{path}")
    page.get_by_role("link", name="ML Metadata", exact=True).last.click()
    return page.frame_locator("iframe")


def test_the_tab_of_a_dag_run_shows_its_nodes_verdict_and_lineage(
    page: Page, airflow: tuple[str, Scheduler]
) -> None:
    tab = _tab(page, airflow[1], f"/dags/taxi/runs/{quote(airflow[0])}")
    expect(tab.get_by_role("heading", name=airflow[0])).to_be_visible(timeout=30_000)
    for name in ("CsvExampleGen", "Transform", "Trainer", "Evaluator", "Pusher"):
        expect(tab.get_by_role("link", name=name, exact=True).first).to_be_visible()
    expect(tab.locator("svg a").first).to_be_visible()
    expect(tab.get_by_text("binary_accuracy").first).to_be_visible()


def test_the_tab_of_a_task_shows_what_that_node_made_with_its_histograms(
    page: Page, airflow: tuple[str, Scheduler]
) -> None:
    tab = _tab(page, airflow[1], f"/dags/taxi/runs/{quote(airflow[0])}/tasks/StatisticsGen")
    expect(tab.get_by_text("trip_miles").first).to_be_visible(timeout=30_000)
    expect(tab.locator("table svg").first).to_be_visible()


def test_an_evaluation_is_drawn(page: Page, airflow: tuple[str, Scheduler]) -> None:
    tab = _tab(page, airflow[1], f"/dags/taxi/runs/{quote(airflow[0])}/tasks/Evaluator")
    tab.get_by_role("link", name="ModelEvaluation").first.click(timeout=30_000)
    expect(tab.locator(".js-plotly-plot .main-svg").first).to_be_visible(timeout=30_000)


def test_the_link_to_a_log_leads_airflow_itself_there(page: Page, airflow: tuple[str, Scheduler]) -> None:
    tab = _tab(page, airflow[1], f"/dags/taxi/runs/{quote(airflow[0])}")
    row = tab.get_by_role("row").filter(has=tab.get_by_role("link", name="Trainer", exact=True))
    row.get_by_role("link", name="Log").click(timeout=30_000)
    page.wait_for_url("**/tasks/Trainer**")
    expect(page.locator("iframe")).to_have_count(0)


def test_the_tab_of_a_worse_run_leads_from_the_sentence_to_what_changed_and_to_the_log(
    page: Page, airflow: tuple[str, Scheduler]
) -> None:
    tab = _tab(page, airflow[1], f"/dags/taxi/runs/{quote(_WORSE_RUN)}")
    # Both models were judged on the same examples: nothing but the model is different.
    expect(tab.locator("#sentence")).to_contain_text(
        "both on the same examples: the model got worse", timeout=30_000
    )
    worst = tab.locator("table.lines tbody tr").first
    expect(worst).to_contain_text("▼ worse")
    in_view = worst.evaluate("row => row.getBoundingClientRect().bottom < window.innerHeight")
    assert in_view, "the worst row is not on the first screen"

    tab.get_by_role("link", name="and what changed since").click()
    expect(tab.locator("#sentence")).to_contain_text("the model got worse")
    expect(tab.get_by_role("row").filter(has_text="▼ worse").first).to_be_visible()
    changed = tab.locator("#changes ~ ul.changes")
    expect(changed).to_contain_text("train_args")
    expect(tab.get_by_text("only the parameters changed")).to_be_visible()

    tab.get_by_role("link", name=_WORSE_RUN).first.click()
    row = tab.get_by_role("row").filter(has=tab.get_by_role("link", name="Trainer", exact=True))
    row.get_by_role("link", name="Log").click()
    page.wait_for_url("**/tasks/Trainer**")


def test_past_runs_are_judged_again_by_edited_thresholds(page: Page, airflow: tuple[str, Scheduler]) -> None:
    tab = _tab(page, airflow[1], f"/dags/taxi/runs/{quote(_WORSE_RUN)}")
    tab.get_by_role("link", name="what other thresholds would have said").click(timeout=30_000)
    expect(tab.locator("#sentence")).to_contain_text("Not blessed")

    for bound in tab.locator("#rejudge ~ form input.bound").all():
        if bound.input_value():
            bound.fill("-1")
    tab.get_by_role("button", name="Judge again").click()

    runs = tab.locator("#rejudged").get_by_role("row").filter(has_text=re.compile(r"by_hand|manual__"))
    expect(runs).to_have_count(2)
    expect(runs.filter(has_text=_WORSE_RUN)).to_contain_text("pass")


def test_the_browser_had_nothing_to_complain_about(page: Page) -> None:
    ours = [text for text in page.errors if "mlmd" in text or "Content Security Policy" in text]  # type: ignore[attr-defined]
    assert ours == []
