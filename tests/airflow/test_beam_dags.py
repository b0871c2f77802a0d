"""The Beam DAGs of the bundle: what they write, say and announce. Under the real scheduler: scheduler/test_ingest.py."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import process_list
from tests.bundle import ROOT, Bundle
from tests.raw_trips import MONTHS, write_raw
from tests.server import wait_until

_STUCK = """
from datetime import datetime
from airflow.sdk import DAG
from include.tfx_airflow.airflow_side.beam import BeamProgramOperator

with DAG("stuck", schedule=None, start_date=datetime(2014, 1, 1)):
    BeamProgramOperator(
        task_id="partition", module="include.taxi.ingest",
        pipeline_options={{
            "raw_folder": {folder!r}, "raw": {name!r}, "root": "${{TFX_AIRFLOW_HOME}}/stuck", "delivery": "stuck"
        }},
    )
"""


def _copy(bundle: Bundle, *dag_ids: str) -> None:
    for dag_id in dag_ids:
        shutil.copy(ROOT / "dags" / f"{dag_id}.py", bundle.folder / "dags")


def _times(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def _events(bundle: Bundle) -> list[tuple[str, dict[str, Any]]]:
    rows = bundle.airflow_rows(
        "select e.partition_key, e.extra from asset_event e join asset a on a.id = e.asset_id"
        " where a.name = 'taxi_spans' order by e.id"
    )
    return [(key, json.loads(extra)) for key, extra in rows]


@pytest.mark.parametrize("dag_id", ["taxi_ingest", "beam_wordcount"])
def test_parsing_a_beam_dag_imports_no_beam_and_finds_no_machine_path(bundle: Bundle, dag_id: str) -> None:
    code = (
        "import json, runpy, sys\n"
        f"dag = runpy.run_path('dags/{dag_id}.py')['dag']\n"
        "from airflow.serialization.serialized_objects import DagSerialization\n"
        "heavy = {'apache_beam', 'tensorflow', 'tfx'} & set(sys.modules)\n"
        "print('RESULT' + json.dumps([sorted(heavy), json.dumps(DagSerialization.to_dict(dag))]))\n"
    )
    heavy, serialized = json.loads(bundle.python(code).rpartition("RESULT")[2])
    assert heavy == []
    assert str(bundle.home) not in serialized and "/bin/python" not in serialized


def test_an_ingest_says_what_it_left_out_and_a_second_one_changes_and_announces_nothing(
    bundle: Bundle,
) -> None:
    _copy(bundle, "taxi_ingest")
    raw = write_raw(bundle, bad=True)
    earlier = len(_events(bundle))
    first = bundle.dags_test("taxi_ingest", "--conf", json.dumps({"raw": raw}))
    assert first.returncode == 0, first.stdout[-4000:]
    for line in (
        "8  rows read",
        "1  bad rows: fare: not a number",
        "1  bad rows: trip_start_timestamp: missing",
    ):
        assert line in first.stdout
    spans = bundle.home / "tfx/taxi/spans"
    [version] = {len(json.loads(path.read_text())["files"]) for path in spans.glob("*/v0/_SUCCESS")}
    assert version == 1
    assert len((bundle.home / "tfx/taxi/bad_rows/v0/rows-00000-of-00001.jsonl").read_text().splitlines()) == 2
    events = _events(bundle)[earlier:]
    assert [key for key, _ in events] == list(MONTHS)
    assert events[1][1]["201402"] == {"version": 0, "rows": 2, "path": str(spans / "201402/v0")}

    before = _times(bundle.home / "tfx/taxi")
    second = bundle.dags_test("taxi_ingest", "--conf", json.dumps({"raw": raw}))
    assert second.returncode == 0, second.stdout[-4000:]
    assert "4  folders unchanged" in second.stdout
    assert "None of the 3 months is new." in second.stdout
    states = bundle.airflow_rows(
        "select task_id, state from task_instance where dag_id = 'taxi_ingest' and run_id ="
        " (select run_id from dag_run where dag_id = 'taxi_ingest' order by id desc limit 1)"
    )
    assert dict(states) == {"partition": "success", "announce": "skipped"}
    assert _times(bundle.home / "tfx/taxi") == before
    assert _events(bundle)[earlier:] == events


def test_the_word_count_is_the_same_in_several_processes(bundle: Bundle) -> None:
    _copy(bundle, "beam_wordcount")
    for runner in ("in_memory", "processes"):
        done = bundle.dags_test("beam_wordcount", "--conf", json.dumps({"runner": runner}))
        assert done.returncode == 0, done.stdout[-4000:]
        assert "19  and" in done.stdout and "581  words" in done.stdout
        assert "FutureWarning" not in done.stdout
    one, two = (bundle.home / "tfx/wordcount").glob("*/counts.csv")
    assert sorted(one.read_text().splitlines()) == sorted(two.read_text().splitlines())


def test_a_beam_job_sees_nothing_of_airflow_and_ends_when_its_task_is_killed(
    bundle: Bundle, tmp_path: Path
) -> None:
    fifo = tmp_path / "nobody-writes"
    os.mkfifo(fifo)
    (bundle.folder / "dags" / "stuck.py").write_text(_STUCK.format(folder=str(tmp_path), name=fifo.name))
    bundle.environment["AIRFLOW_CONN_SECRET"] = "mysql://user:password@host/db"
    task = bundle.start_dags_test("stuck")
    try:
        wait_until(lambda: process_list.running(f"--raw_folder={tmp_path}"), 60, "the job")
        [job] = process_list.running(f"--raw_folder={tmp_path}")
        environment = Path(f"/proc/{job}/environ").read_text(errors="replace").split("\0")
        assert not [line for line in environment if line.startswith(("AIRFLOW", "_AIRFLOW"))]
        assert f"PYTHONPATH={ROOT}" in environment
    finally:
        del bundle.environment["AIRFLOW_CONN_SECRET"]
        task.kill()
        task.wait()
    wait_until(
        lambda: not process_list.running(f"--raw_folder={tmp_path}"), 20, "the job to end with its task"
    )


_FORMS = """
import json, runpy
from airflow.sdk.definitions.param import ParamsDict
found = {}
for dag_id in ("beam_wordcount", "taxi_ingest"):
    params = runpy.run_path(f"dags/{dag_id}.py")["dag"].params
    found[dag_id] = {name: params.get_param(name).schema for name in params}
print("RESULT" + json.dumps(found))
"""


def test_the_form_chooses_a_runner_and_files_by_name_and_nothing_else(bundle: Bundle) -> None:
    forms = json.loads(bundle.python(_FORMS).rpartition("RESULT")[2])
    runners = ["in_memory", "processes", "flink", "spark"]
    for dag_id, names in {
        "beam_wordcount": ["runner", "text"],
        "taxi_ingest": ["raw", "runner", "shards"],
    }.items():
        assert sorted(forms[dag_id]) == names
        assert forms[dag_id]["runner"]["enum"] == runners
    assert forms["taxi_ingest"]["raw"]["pattern"] == forms["beam_wordcount"]["text"]["pattern"]


@pytest.mark.parametrize(
    ("dag_id", "conf", "said"),
    [
        ("taxi_ingest", {"raw": "/etc/passwd"}, "does not match"),
        ("beam_wordcount", {"text": "../../airflow.cfg"}, "does not match"),
        ("beam_wordcount", {"text": "words.txt\n"}, "does not match"),
        ("beam_wordcount", {"runner": "DirectRunner"}, "is not one of ['in_memory'"),
        ("beam_wordcount", {"text": "link.txt"}, "is a link to a file that is not below"),
    ],
    ids=["absolute", "up", "line-break", "runner-of-beam", "symlink"],
)
def test_a_file_elsewhere_or_another_runner_is_refused(
    bundle: Bundle, tmp_path: Path, dag_id: str, conf: dict[str, str], said: str
) -> None:
    _copy(bundle, dag_id)
    (tmp_path / "secret").write_text("unspeakable")
    texts = bundle.home / "tfx/wordcount/texts"
    texts.mkdir(parents=True, exist_ok=True)
    (texts / "link.txt").unlink(missing_ok=True)
    (texts / "link.txt").symlink_to(tmp_path / "secret")
    done = bundle.dags_test(dag_id, "--conf", json.dumps(conf))
    assert done.returncode != 0 and said in done.stdout, done.stdout[-4000:]
    assert "unspeakable" not in done.stdout


def test_what_a_form_does_not_offer_changes_nothing(bundle: Bundle, tmp_path: Path) -> None:
    _copy(bundle, "beam_wordcount")
    texts = bundle.home / "tfx/wordcount/texts"
    texts.mkdir(parents=True, exist_ok=True)
    (texts / "two.txt").write_text("twice twice\n")
    marker = tmp_path / "ran"
    command = json.dumps({"command": f"touch {marker}"})
    options = ["--runner=PortableRunner", "--environment_type=PROCESS", f"--environment_config={command}"]
    conf = {"text": "*.t?t", "beam_options": options, "job_endpoint": "203.0.113.1:1"}
    (texts / "link.txt").unlink(missing_ok=True)
    done = bundle.dags_test("beam_wordcount", "--conf", json.dumps(conf))
    assert done.returncode == 0, done.stdout[-4000:]
    assert "2  twice" in done.stdout and "203.0.113.1" not in done.stdout.rpartition("python -m")[2]
    assert not marker.exists()
