"""Files written for TFX's Airflow runner, adopted: compiled once, reported on. Run: scheduler/test_adopted.py."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.bundle import ROOT, TFX_PYTHON, Bundle

_LEGACY = ROOT / "tests" / "legacy"


def _adopt(path: Path | str, more: str = "") -> str:
    return f"from include.tfx_airflow import adopt\ndags = adopt({str(path)!r}{more})\n"


_TIMES = """
import json, time
from include.tfx_airflow import adopt
from include.tfx_airflow.airflow_side import compiled
times = []
for _ in range(20):
    start = time.perf_counter()
    found = adopt({path!r})
    times.append(time.perf_counter() - start)
from airflow.serialization.serialized_objects import DagSerialization
print("RESULT" + json.dumps([min(times[1:]), [DagSerialization.to_dict(dag) for dag in found]], sort_keys=True, default=str))
"""


def test_once_compiled_a_parse_takes_under_50_ms_and_is_the_same_each_time(bundle: Bundle) -> None:
    code = _TIMES.format(path=str(_LEGACY / "two_dags.py"))
    first, second = (bundle.python(code).rpartition("RESULT")[2] for _ in range(2))
    for text in (first, second):
        assert json.loads(text)[0] < 0.05
    assert json.loads(first)[1] == json.loads(second)[1]


def _compiled(bundle: Bundle, path: Path) -> list[Path]:
    """The manifests of a file, beside the IR of its pipeline."""
    found = bundle.home.glob("tfx/compiled/*/[!.]*/manifest.json")  # what is being written begins with a dot
    return [manifest for manifest in found if json.loads(manifest.read_text())["reference"] == str(path)]


def test_an_edit_of_a_module_beside_the_file_is_seen(bundle: Bundle, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(_LEGACY / "with_helpers", tmp_path / "with_helpers"))
    path, words = folder / "reporting.py", folder / "steps" / "words.py"
    for text, count in ((words.read_text(), 1), (words.read_text().replace("from a", "of a"), 2)):
        words.write_text(text)
        assert bundle.import_error(_adopt(path)) == ""
        assert len(_compiled(bundle, path)) == count


def test_a_file_that_reads_variables_is_compiled_again_when_they_change(
    bundle: Bundle, tmp_path: Path
) -> None:
    path = Path(shutil.copy(_LEGACY / "module_level.py", tmp_path))

    def words() -> dict[str, Path]:
        found = {}
        for manifest in _compiled(bundle, path):
            node = json.loads(manifest.with_name("pipeline.json").read_text())["nodes"][0]["pipelineNode"]
            found[node["parameters"]["parameters"]["words"]["fieldValue"]["stringValue"]] = manifest
        return found

    assert bundle.import_error(_adopt(path)) == ""
    assert set(words()) == {"hello world"}
    assert bundle.import_error(_adopt(path), AIRFLOW_VAR_LEGACY_AUDIENCE="planet-of-ours") == ""
    assert set(words()) == {"hello world", "hello planet-of-ours"}
    manifest = words()["hello planet-of-ours"].read_text()
    assert json.loads(manifest)["airflow_variables"] == ["legacy_audience", "legacy_settings"]
    assert "planet-of-ours" not in manifest


def test_a_variable_that_airflow_masks_is_not_written_anywhere(bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "leaking.py"
    path.write_text(
        "from airflow.models import Variable\n"
        "from tests.pipelines import small\n"
        "from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner\n"
        "key = Variable.get('my_api_key')\n"
        "DAG = AirflowDagRunner({}).run(small.write_and_read(message=f'key {key}'))\n"
    )
    error = bundle.import_error(_adopt(path), AIRFLOW_VAR_MY_API_KEY="hunter22")
    assert "the value of the Airflow Variable 'my_api_key', which Airflow masks" in error
    [folder] = bundle.home.glob("tfx/compiled/dag_file_leaking-*")
    written = [path for path in folder.rglob("*") if path.is_file()]
    assert "failed.json" in [path.name for path in written]
    assert not any(b"hunter22" in path.read_bytes() for path in written)


def test_what_airflow_masks_inside_a_json_variable_is_not_written_anywhere(
    bundle: Bundle, tmp_path: Path
) -> None:
    value = json.dumps({"db_password": "hunter2-secret", "root": "/srv/of-ours"})

    def error_of(key: str) -> str:
        path = tmp_path / f"with_{key}.py"
        path.write_text(
            "from airflow.models import Variable\n"
            "from tests.pipelines import small\n"
            "from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner\n"
            "config = Variable.get('taxi_config', deserialize_json=True)\n"
            f"DAG = AirflowDagRunner({{}}).run(small.write_and_read(message='/data/' + config['{key}']))\n"
        )
        return bundle.import_error(_adopt(path), AIRFLOW_VAR_TAXI_CONFIG=value)

    assert error_of("root") == ""
    assert (
        "the value of the Airflow Variable \"taxi_config['db_password']\", which Airflow masks"
        in error_of("db_password")
    )
    folders = bundle.home.glob("tfx/compiled/dag_file_with_*")
    written = [path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert any(b"/data//srv/of-ours" in text for text in written)
    assert not any(b"hunter2-secret" in text for text in written)


_DROPPED = {
    "old/external_input.py": "line 6: 'tfx.utils.dsl_utils' is dropped by TFX",
    "old/resolver_node.py": "'ResolverNode' is dropped by TFX",
    "old/model_validator.py": "'ModelValidator' is dropped by TFX: 'tfx.components.Evaluator' is its heir",
    "old/other_tasks.py": "airflow.operators.bash_operator.BashOperator of Airflow is not known",
}


# The report on their folder has the sentences of all.
@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        ("old/external_input.py", _DROPPED["old/external_input.py"]),
        *(pytest.param(*item, marks=pytest.mark.long) for item in list(_DROPPED.items())[1:]),
        ("nowhere.py", "there is no"),
    ],
)
def test_what_cannot_be_adopted_is_one_sentence_in_airflow(bundle: Bundle, file: str, sentence: str) -> None:
    assert sentence in bundle.import_error(_adopt(f"tests/legacy/{file}")).strip().splitlines()[-1]


def test_what_airflow_3_cannot_do_is_refused_until_the_owner_does_without_it(
    bundle: Bundle, tmp_path: Path
) -> None:
    path = tmp_path / "slow.py"
    path.write_text(
        "from datetime import datetime, timedelta\n"
        "from tests.pipelines import small\n"
        "from tfx.orchestration.airflow.airflow_dag_runner import AirflowDagRunner\n"
        "DAG = AirflowDagRunner({'schedule_interval': None, 'default_args': {'sla': timedelta(hours=1)}})"
        ".run(small.write_and_read(name='slow'))\n"
    )
    error = bundle.import_error(_adopt(path))
    assert "default_args['sla'] = datetime.timedelta(seconds=3600): Airflow 3 has no SLAs" in error
    assert "adopt(..., ignore=['sla'])" in error
    assert bundle.import_error(_adopt(path, ", ignore=['sla']")) == ""


def test_the_files_of_the_tfx_wheel_are_adopted_unchanged(bundle: Bundle, tmp_path: Path) -> None:
    [wheel] = Path(TFX_PYTHON).parents[1].glob("lib/python3.*/site-packages/tfx")
    for folder in ("taxi", "airflow/dags"):  # whose modules the files name
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "taxi_utils.py").write_text("")
    more = f", environment={{'HOME': {str(tmp_path)!r}}}"
    for file in (
        "examples/chicago_taxi_pipeline/taxi_pipeline_simple.py",
        "examples/airflow_workshop/taxi/setup/dags/taxi_pipeline.py",
        "tools/cli/testdata/test_pipeline_airflow_1.py",
    ):
        assert bundle.import_error(_adopt(wheel / file, more)) == ""


def test_the_report_on_a_folder_says_what_becomes_of_each_file(bundle: Bundle) -> None:
    done = bundle.command("adopt", "tests/legacy")
    assert done.returncode == 1, done.stdout
    for text in (
        "DAG 'legacy_pipeline_config', line 42",
        "concurrency = 4 becomes max_active_tasks",
        "schedule_interval = '@daily' becomes schedule = CronDataIntervalTimetable(",
        "Param data_root = '${BUNDLE_ROOT}/tests/legacy/data'",
        "default_args['provide_context'] = True has no effect",
        "every run  Greet.day = {{ ds }}",
        "reads the Airflow Variables legacy_audience, legacy_settings",
        "is ignored: the store is that of the Airflow Connection",
        *_DROPPED.values(),
        "5 of 9 files can be adopted.",
        'dags = adopt("tests/legacy/with_helpers/reporting.py", folders=["tests/legacy"])',
    ):
        assert text in done.stdout, f"{text}\n{done.stdout}"
    # As DAGs all of them are refused, in one error.
    error = bundle.import_error(_adopt("tests/legacy"), AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT="0")
    for sentence in _DROPPED.values():
        assert sentence in error
    last = error.strip().splitlines()[-1]
    assert last.startswith("Mend tests/legacy/old/external_input.py, tests/legacy/old/model_validator.py, ")
    assert last.endswith("run: python -m include.tfx_airflow adopt tests/legacy")


def test_doctor_says_which_files_airflow_passes_over_and_which_need_adopting(
    bundle: Bundle, tmp_path: Path
) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "silent.py").write_text("import include.tfx_airflow as tfx\ntfx.adopt('/srv/a.py')\n")
    (dags / "old.py").write_text("# an airflow dag\nimport tfx\n")
    done = bundle.command("doctor", AIRFLOW__CORE__DAGS_FOLDER=str(dags))
    assert done.returncode == 1
    assert "silent.py is passed over by Airflow" in done.stdout
    assert "No module named 'tfx'; Airflow's interpreter has no TFX" in done.stdout
