"""What a plan contains: all that nothing kept refers to, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.tfx_airflow.contract.keep import Keep
from include.tfx_airflow.tfx_side.retention import plan
from tests.tfx.retention.lineage import NOW, Lineage, expected

KEEPS = (Keep(runs=2, days=5), Keep(runs=1, days=0, pushed=1, blessed=1), Keep(runs=3, days=40, blessed=2))


def planned(lineage: Lineage, keep: Keep, roots: list[str] | None = None) -> set[int]:
    made = plan.make(lineage.address, roots or [lineage.home], lineage.home, keep, NOW)
    return {one["id"] for one in made.artifacts}


@pytest.mark.parametrize("seed", range(6))
def test_plan_of_a_random_history_is_what_the_rules_say(
    roots: dict[str, str], address: dict[str, Any], seed: int
) -> None:
    Path(address["path"]).parent.mkdir(parents=True)
    with Lineage(address, roots["TFX_AIRFLOW_HOME"], seed) as lineage:
        lineage.write(runs=25)
    for keep in KEEPS:
        kept, goes = expected(lineage, keep)
        assert planned(lineage, keep) == goes, keep
        assert kept and goes and not kept & goes, "the history shows something"
