"""Takes the README's picture: the taxi pipeline's last run in Airflow's UI, in a real browser.

    eval "$(make -s env)"; make up                       # in another terminal, after make demo
    uv run --with playwright==1.64.1 tests/browser/screenshot.py URL USER PASSWORD

Needs Chromium (Debian: apt-get install chromium).
"""

from __future__ import annotations

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

_PICTURE = Path(__file__).resolve().parents[2] / "include" / "taxi" / "dag.png"


def main(url: str, user: str, password: str, dag_id: str = "taxi_retraining") -> None:
    """Logs in, opens the graph of the latest run and saves the picture."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
        )
        page = browser.new_page(viewport={"width": 1500, "height": 520}, device_scale_factor=1.5)
        page.goto(f"{url}/auth/login")
        page.fill("input[name=username]", user)
        page.fill("input[name=password]", password)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda address: "/auth/login" not in address)
        runs = page.request.get(f"{url}/api/v2/dags/{dag_id}/dagRuns?order_by=-run_after&limit=1").json()
        run_id = runs["dag_runs"][0]["dag_run_id"]
        page.goto(f"{url}/dags/{dag_id}/runs/{page.evaluate('encodeURIComponent', run_id)}")
        page.get_by_role("button", name="Graph").first.click()
        page.wait_for_timeout(5000)
        page.screenshot(path=str(_PICTURE))
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
