"""Files written for TFX's Airflow runner, adopted, run unchanged under the real scheduler."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bundle import ROOT, Bundle
from tests.scheduler import Scheduler

# The DAGs of each file, in the styles found in public repositories.
_FILES = {
    "config_dict.py": ["legacy_config_dict"],
    "pipeline_config.py": ["legacy_pipeline_config"],
    "module_level.py": ["legacy_module_level"],
    "with_helpers/reporting.py": ["legacy_with_helpers"],
    "two_dags.py": ["legacy_north", "legacy_south"],
}


@pytest.fixture(scope="module", autouse=True)
def _dags(add_dags: Callable[[str, str], None]) -> None:
    """The DAGs of the five files."""
    for number, file in enumerate(_FILES):
        path = f"tests/legacy/{file}"
        add_dags(f"adopted_{number}", f"from include.tfx_airflow import adopt\ndags = adopt({path!r})\n")


def test_five_files_run_unchanged_under_the_scheduler(bundle: Bundle, scheduler: Scheduler) -> None:
    runs = {dag_id: scheduler.trigger(dag_id) for dag_id in sum(_FILES.values(), [])}
    for dag_id, run_id in runs.items():
        assert scheduler.wait_for_run(dag_id, run_id) == "success", dag_id
    made = {dag_id: {e.node: e for e in bundle.executions(dag_id, run_id)} for dag_id, run_id in runs.items()}
    # With a schedule, a DAG has a run of its own as soon as it is unpaused, which may be the first.
    assert {e.state for nodes in made.values() for e in nodes.values()} <= {"COMPLETE", "CACHED"}

    def value(dag_id: str, node: str) -> str:
        return Path(made[dag_id][node].outputs[0][2]).read_text()

    # A component of the file itself, and AIRFLOW_HOME, which such files take their paths from.
    assert value("legacy_config_dict", "Count") == "10"
    root = bundle.home / "legacy_config_dict"
    assert made["legacy_config_dict"]["Count"].outputs[0][2].startswith(str(root))
    assert not (root / "metadata.db").exists()
    assert set(made["legacy_pipeline_config"]) == {"CsvExampleGen", "StatisticsGen", "SchemaGen"}
    # A run from the form has no logical date; Airflow 2 gave it that of its trigger.
    greeting, day = value("legacy_module_level", "Greet").split(" on ")
    details = scheduler.call("GET", f"/api/v2/dags/legacy_module_level/dagRuns/{runs['legacy_module_level']}")
    assert (greeting, day) == ("hello world", details["run_after"][:10])
    assert value("legacy_with_helpers", "Say") == "from a package beside the file"
    assert value("legacy_north", "Name") == "north" and value("legacy_south", "Name") == "south"
    # Code of the file is in TFX's cache key.
    counted = next(e for e in bundle.executions("legacy_config_dict") if e.state == "COMPLETE")
    assert "code_fingerprint" in bundle.properties(counted.id)


def test_a_callback_of_the_file_is_called_when_a_node_fails(
    scheduler: Scheduler, add_dags: Callable[[str, str], None], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(ROOT / "tests" / "legacy" / "with_helpers", tmp_path / "failing"))
    path = folder / "reporting.py"
    for file, old, new in (
        (folder / "steps" / "words.py", "text.value = words", 'raise ValueError("no words")'),
        (path, "legacy_with_helpers", "legacy_failing"),
        # Its folder is on sys.path when it is called, and the names of Airflow 2 are in its context.
        (
            folder / "team_alerts.py",
            "    print(f\"the team is told of {context['ti'].task_id}\")",
            "    from of_the_team import CHANNEL\n"
            "    print(f\"{CHANNEL} is told of {context['ti'].task_id} on {context['prev_ds']}\")\n"
            "    print(f\"a day before {context['execution_date'].add(days=1)}\")",
        ),
    ):
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    (folder / "of_the_team.py").write_text("CHANNEL = 'the channel'\n")
    add_dags("adopted_failing", f"from include.tfx_airflow import adopt\ndags = adopt({str(path)!r})\n")
    run_id = scheduler.trigger("legacy_failing")
    assert scheduler.wait_for_run("legacy_failing", run_id) == "failed"
    log = scheduler.log("legacy_failing", run_id, "Say")
    details = scheduler.call("GET", f"/api/v2/dags/legacy_failing/dagRuns/{run_id}")
    day = datetime.date.fromisoformat(details["run_after"][:10])
    assert "no words" in log and f"the channel is told of Say on {day}" in log
    assert f"a day before {day + datetime.timedelta(days=1)}" in log


def test_what_airflow_shows_of_their_dags(scheduler: Scheduler) -> None:
    details = scheduler.call("GET", "/api/v2/dags/legacy_module_level/details")
    assert details["timetable_summary"] == "0 6 * * *"
    assert details["doc_md"] == "Greets at **six**."
    assert [tag["name"] for tag in details["tags"]] == ["legacy"]
    assert not details["params"]  # what stands for a template is nothing that a run's conf may choose
    config = scheduler.call("GET", "/api/v2/dags/legacy_pipeline_config/details")
    assert (config["max_active_tasks"], config["max_active_runs"], config["catchup"]) == (4, 1, False)
    assert list(config["params"]) == ["data_root"] and config["owners"] == ["ml-team"]
