"""The benchmark's arithmetic: medians, percentiles, ratios, and that a missed target is said."""

from __future__ import annotations

from typing import Any

import pytest

from tests.benchmarks import results


def _found(**walls: float) -> dict[str, Any]:
    """Three repetitions of each lane around its wall time; node work is 10 s, of this bundle's warm lane 6 s."""
    memory = {"idle": 100.0, "total": 1100.0, "largest": 700.0}
    lanes: dict[str, Any] = {}
    for lane in results.LANES:
        wall = walls.get(lane.replace(" ", "_"), 12.0)
        row = {"nodes": {"A": 4.0, "B": 6.0}, "starts": {"A": 0.5, "B": 1.5}, "memory": memory}
        if lane == "dags test warm":
            row["nodes"] = {"A": 2.0, "B": 4.0}
        lanes[lane] = [{"wall": wall + more, **row} for more in (-1.0, 0.0, 50.0)]
    for lane in ("parse", "stock parse"):
        lanes[lane] = [{"seconds": 0.01, "megabytes": 2.0}]
    about = {"date": "2014-01-01", "machine": "m", "versions": {"tfx": "1"}, "repetitions": 3}
    node = {"SpanExampleGen": 1.0, "Train": 0.1, "Judge": 0.2, "rolling_window": 0.3}
    return {
        "about": about,
        "lanes": lanes,
        "starts": {"forked": [0.1] * 95 + [0.2] * 5, "new": [5.0]},
        "history": {runs: {"bundle": node, "local": node} for runs in ("0", "20000")},
        "retraining": {"0": 60.0, "20000": 61.0},
        "ingest": {
            "300000": {
                side: {"seconds": s, "megabytes": 900.0} for side, s in (("tfx", 50.0), ("bundle", 4.0))
            }
        },
    }


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert results.percentile(values, 0.95) == 95.0
    assert results.percentile([3.0], 0.95) == 3.0


def test_ratios_are_of_medians_and_by_the_work_of_the_local_lane() -> None:
    page, reached = results.render(_found(scheduled_warm=15.0))
    assert reached
    assert "| **this bundle**, scheduled, warm | 15.0 (14.0-65.0) | 10.0 | 1.50 | 1000 | 700 |" in page
    assert "| scheduled run warm / node work | <= 1.6 | 1.50 | yes |" in page


@pytest.mark.parametrize("lane", ["dags_test_warm", "dags_test_cold", "scheduled_warm"])
def test_a_missed_target_is_said(lane: str) -> None:
    page, reached = results.render(_found(**{lane: 17.0}))
    assert not reached
    assert page.count("**no**") == 1


def test_work_is_told_by_node_and_too_much_of_it_is_said() -> None:
    found = _found()
    page, _ = results.render(found)
    assert "| B | 6.00 | 4.00 | 0.67 |\n| A | 4.00 | 2.00 | 0.50 |\n| all | 10.00 | 6.00 | 0.60 |" in page
    for row in found["lanes"]["dags test warm"]:
        row["nodes"]["A"] = 2.6
    page, reached = results.render(found)
    assert not reached
    assert "| <= 0.65 | 0.66 | **no** |" in page
