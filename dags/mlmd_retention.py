"""### Retention: which artifacts nothing that is kept refers to

`plan` writes what would be deleted, with bytes and reasons, and shows it in its log; nothing is changed by it. With the
Param `apply`, `carry_out` then does it: artifacts are marked in ML Metadata, so that no Resolver, cache or consumer uses
them; their files are set aside, and deleted by a run after `grace` days.

Kept are: everything of the newest `runs` runs of each pipeline, of runs at work and of the last `days` days, models that
were pushed or blessed (all, or the newest so many of each pipeline), and pinned artifacts; all of that with what it was
made from, and with the evaluations of these models. `python -m include.tfx_airflow gc` does the same by hand, pins, and
restores what is set aside.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from airflow.sdk import DAG, Param, task
from airflow.sdk.exceptions import AirflowSkipException

from include.tfx_airflow.contract.keep import Keep

_KEEP = Keep()  # unless told otherwise
_MOST = 1_000_000


def _all_or_newest(what: str) -> Param:
    return Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=_MOST,
        description=f"Newest {what} of each pipeline. Empty: all.",
    )


with DAG(
    "mlmd_retention",
    schedule="@weekly",
    start_date=datetime(2014, 1, 1),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=True,
    doc_md=__doc__,
    tags=["tfx"],
    params={
        "apply": Param(False, type="boolean", description="Carry the plan out; otherwise it is only shown."),
        "runs": Param(
            _KEEP.runs, type="integer", minimum=1, maximum=_MOST, description="Newest runs of each pipeline."
        ),
        "days": Param(
            _KEEP.days, type="number", minimum=1, maximum=_MOST, description="Days since it was made or used."
        ),
        "pushed": _all_or_newest("pushes"),
        "blessed": _all_or_newest("blessed models"),
        "grace": Param(
            _KEEP.grace,
            type="number",
            minimum=1,
            maximum=_MOST,
            description="Days from setting files aside to deleting them.",
        ),
    },
) as dag:

    @task
    def plan(params: dict[str, Any]) -> dict[str, Any]:
        """Makes the plan; its totals and hash are the XCom."""
        from include.tfx_airflow.airflow_side import retention
        from include.tfx_airflow.settings import read_settings

        keep = {name: params[name] for name in ("runs", "days", "pushed", "blessed", "grace")}
        answer = retention.ask(read_settings(), "plan", keep=keep)
        print(retention.as_text(answer))
        return {"hash": answer.get("hash"), **answer.get("totals", {})}

    @task
    def carry_out(made: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
        """Carries the plan out, if it was asked for."""
        from include.tfx_airflow.airflow_side import retention
        from include.tfx_airflow.settings import read_settings

        if not params["apply"]:
            raise AirflowSkipException("Only planned: the Param 'apply' is false.")
        if not made["hash"]:
            raise AirflowSkipException("There is nothing to delete.")
        answer = retention.ask(read_settings(), "apply", hash=made["hash"])
        print(retention.as_text(answer))
        if answer["done"]["problems"]:
            raise RuntimeError(f"not everything could be done: {json.dumps(answer['done']['problems'])}")
        return dict(answer["done"])

    carry_out(plan())
