"""Takes the documentation's pictures in a real browser: a DAG's last pushed run in Airflow's UI, and the panel's tabs on it.

make replay; make up                                 # the second in another terminal
include/bootstrap.sh panel
.state/panel/bin/python -m tests.browser.screenshot URL USER PASSWORD
"""

from __future__ import annotations

import sys
from urllib.parse import quote

from playwright.sync_api import FrameLocator, Page

from tests.bundle import ROOT
from tests.panel import browser

_FOLDER = ROOT / "docs" / "images"
# Node of each picture, and the heading that the window begins at.
_TABS = {"panel-statistics": ("StatisticsGen", "statistics"), "panel-evaluation": ("Evaluator", "Verdict")}


def main(url: str, user: str, password: str, dag_id: str = "taxi_retraining") -> None:
    """Logs in, opens the latest run of the replay and saves the pictures.

    Args:
      url: Of the running Airflow.
      user: Who may see the DAG.
      password: Of that user.
      dag_id: The DAG.
    """
    with browser.opened() as opened:
        page = browser.new_page(opened, 1500, 520, device_scale_factor=1.5)
        browser.log_in(page, url, user, password)
        runs = page.request.get(
            f"{url}/api/v2/dags/{dag_id}/dagRuns?order_by=-run_after&limit=1&run_type=backfill"
        ).json()
        run = f"{url}/dags/{dag_id}/runs/{quote(runs['dag_runs'][0]['dag_run_id'], safe='')}"
        page.goto(run)
        page.get_by_role("button", name="Graph").first.click()
        page.wait_for_timeout(5000)
        page.screenshot(path=str(_FOLDER / "dag.png"))
        page.get_by_role("button", name="Grid").first.click()  # leaves more of the window to the tab
        page.set_viewport_size({"width": 1500, "height": 1000})
        _tab(page, run).get_by_role("heading", name="Nodes").wait_for()
        _save(page, "panel-run")
        for name, (node, heading) in _TABS.items():
            tab = _tab(page, f"{run}/tasks/{node}")
            tab.locator("table svg, .js-plotly-plot .main-svg").first.wait_for()
            tab.get_by_role("heading", name=heading).first.evaluate("heading => heading.scrollIntoView()")
            _save(page, name)


def _tab(page: Page, address: str) -> FrameLocator:
    page.goto(address)
    page.get_by_role("link", name="ML Metadata", exact=True).last.click()
    return page.frame_locator("iframe")


def _save(page: Page, name: str) -> None:
    page.wait_for_timeout(3000)
    page.screenshot(path=str(_FOLDER / f"{name}.png"))


if __name__ == "__main__":
    main(*sys.argv[1:])
