"""Artifacts on S3: a pipeline's, those of the whole retraining, and what happens while the server is away."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bundle import ROOT, STATE, TFX_PYTHON, Bundle, made
from tests.cluster import object_store, retraining
from tests.cluster.object_store import BUCKET, KEY, SECRET, ObjectStore
from tests.cluster.retraining import FEBRUARY, JANUARY, MARCH

ROOT_ADDRESS = f"s3://{BUCKET}/root"
_SECONDS = 300  # for what takes a minute on a machine with nothing else to do


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds all that is local."""
    assert (STATE / "extras").is_file() and "s3" in (STATE / "extras").read_text(), "run make setup EXTRAS=s3"
    return tmp_path_factory.mktemp("object-store")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """S3, empty."""
    with object_store.running(tmp_path_factory.mktemp("s3")) as store:
        yield store


@pytest.fixture(scope="module")
def bundle(bundle_folder: Path, store: ObjectStore) -> Iterator[Bundle]:
    """An Airflow whose artifacts are on S3."""
    with made(bundle_folder) as bundle:
        bundle.environment.update(store.connection())
        bundle.environment["AIRFLOW__TFX_AIRFLOW__RETENTION_ROOTS"] = f"{bundle.home}/tfx:s3://{BUCKET}"
        bundle.environment["AIRFLOW__MLMD_PANEL__ROOTS"] = f"{bundle.home}/tfx,s3://{BUCKET}"
        yield bundle


def _files(store: ObjectStore, below: str = "") -> list[str]:
    base = f"{BUCKET}/{below}".rstrip("/")
    return sorted(path.removeprefix(f"{base}/") for path in store.files().find(base))


def _value(bundle: Bundle, query: str, *arguments: object) -> object:
    with bundle._connect(bundle.mlmd) as rows:
        [[value]] = rows(query, *arguments)
    return value


def test_a_pipeline_has_its_artifacts_on_s3_and_the_secret_nowhere_else(
    bundle: Bundle, store: ObjectStore
) -> None:
    bundle.write_dag("stored", "tests.pipelines.stored:create_pipeline", pipeline_root=ROOT_ADDRESS)
    done = bundle.dags_test("stored")
    assert done.returncode == 0, done.stdout[-6000:]
    make, use = bundle.executions("stored")
    assert _files(store, f"root/Make/model/{make.id}") == ["saved_model.pb", "variables/data"]
    text = store.files().cat_file(use.uri("copy")).decode()
    assert text == "made: content of variables/data, []"
    # What executors say of paths says the address.
    place = "select string_value from ArtifactProperty where name = ?"
    assert _value(bundle, place, "place") == f"{make.uri('model')}/variables"
    assert _value(bundle, place, "used") == make.uri("model")
    again = bundle.dags_test("stored")
    assert [e.state for e in bundle.executions("stored")[-2:]] == ["CACHED", "CACHED"], again.stdout[-6000:]
    assert SECRET not in done.stdout + again.stdout and KEY not in done.stdout + again.stdout
    found = subprocess.run(["grep", "-rlF", SECRET, bundle.folder], capture_output=True, text=True)
    assert found.stdout == ""


def test_another_machine_downloads_what_it_needs(bundle: Bundle, store: ObjectStore) -> None:
    before = len(bundle.executions("stored"))
    subprocess.run(["rm", "-rf", bundle.home / "tfx/staging"], check=True)
    bundle.write_dag(
        "stored",
        "tests.pipelines.stored:create_pipeline",
        pipeline_root=ROOT_ADDRESS,
        config="node_configs={'Use': NodeConfig(retries=0)},",
    )
    store.files().rm(f"{BUCKET}/root/Use", recursive=True)  # so it is not taken from the cache
    done = bundle.dags_test("stored")
    assert done.returncode == 0, done.stdout[-6000:]
    make, use = bundle.executions("stored")[before:]
    assert (make.state, use.state) == ("CACHED", "COMPLETE")
    assert store.files().cat_file(use.uri("copy")).startswith(b"made: content")


def test_while_the_server_is_away_nothing_is_published_and_a_retry_heals(
    bundle: Bundle, store: ObjectStore, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    bundle.write_dag(
        "away",
        "tests.pipelines.stored:create_pipeline",
        pipeline_root=f"s3://{BUCKET}/away",
        started=str(started),
        config="node_configs={'Make': NodeConfig(retries=1, retry_delay=timedelta(seconds=1))},",
    )
    log = tmp_path / "log"
    running = bundle.start_dags_test("away", log=log)
    try:
        _wait_for(started, running, log)
        store.go_away()
        started.unlink()
        deadline = time.monotonic() + _SECONDS
        while [e.state for e in bundle.executions("away")] != ["FAILED"]:
            assert running.poll() is None and time.monotonic() < deadline, log.read_text()[-6000:]
            time.sleep(0.2)
        assert _files(store, "away") == []
        store.come_back()
        _wait_for(started, running, log)
        started.unlink()
        assert running.wait(_SECONDS) == 0, log.read_text()[-6000:]
    finally:
        running.kill()
        running.wait()
    assert [(e.node, e.state) for e in bundle.executions("away")] == [
        ("Make", "FAILED"),
        ("Make", "COMPLETE"),
        ("Use", "COMPLETE"),
    ]
    text = log.read_text()
    assert f"Object store: 's3://{BUCKET}/away/Make/" in text and "run the task again" in text


def _wait_for(path: Path, running: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while not path.exists():
        assert running.poll() is None and time.monotonic() < deadline, log.read_text()[-6000:]
        time.sleep(0.1)


_VERSIONS = """
from include.tfx_airflow.airflow_side import object_store, span_sensor
from include.tfx_airflow.settings import read_settings
folder = "s3://bucket/waited/201301"
try:
    with object_store.answered(folder):
        print("FOUND", span_sensor._versions(object_store.file_system(folder, read_settings()), folder))
except Exception as error:
    print("FOUND", f"{type(error).__name__}: {error}")
"""


def test_a_span_that_cannot_be_looked_for_is_not_a_span_that_has_not_come(
    bundle: Bundle, store: ObjectStore
) -> None:
    for name in ("v0/_SUCCESS", "v1/trips.csv", "other/_SUCCESS"):
        store.files().pipe_file(f"{BUCKET}/waited/201301/{name}", b"x")
    assert bundle.python(_VERSIONS).rpartition("FOUND ")[2] == "([0], [1])\n"
    store.go_away()
    try:
        told = bundle.python(_VERSIONS).rpartition("FOUND ")[2]
    finally:
        store.come_back()
    assert told.startswith("ObjectStoreError: Object store: 's3://bucket/waited/201301' cannot be read")
    store.files().rm(f"{BUCKET}/waited", recursive=True)
    assert bundle.python(_VERSIONS).rpartition("FOUND ")[2] == "([], [])\n"


def test_taxi_runs_whole_on_s3(bundle: Bundle, store: ObjectStore) -> None:
    bundle.write_dag(
        "taxi",
        "include.taxi.pipeline:create_pipeline",
        pipeline_root=f"s3://{BUCKET}/taxi/artifacts",
        serving_dir=f"s3://{BUCKET}/taxi/serving",
    )
    done = bundle.dags_test("taxi")
    assert done.returncode == 0, done.stdout[-6000:]
    executions = bundle.executions("taxi")
    assert len(executions) == 9 and {e.state for e in executions} == {"COMPLETE"}
    assert all(uri.startswith(f"s3://{BUCKET}/") for e in executions for _, _, uri in e.outputs)
    # TFMA writes there where its inputs were.
    [evaluator] = [e for e in executions if e.node == "Evaluator"]
    config = store.files().cat_file(f"{evaluator.uri('evaluation')}/eval_config.json").decode()
    assert f"s3://{BUCKET}/taxi/artifacts/Trainer/" in config and str(bundle.home) not in config
    [pushed] = {path.split("/")[0] for path in _files(store, "taxi/serving")}
    assert f"{pushed}/saved_model.pb" in _files(store, "taxi/serving")
    # Its Resolver has only read an earlier one's; the summaries of the others reach the log.
    assert "auc" in done.stdout and "BLESSED" in done.stdout


@pytest.fixture(scope="module")
def retrained(bundle: Bundle, store: ObjectStore) -> list[str]:
    """Three months of retraining, as a user has it who has moved the example's folders to S3; the logs.

    The first has nothing to train on, the second trains on it, and the third starts from the model of the second.
    """
    moved = {
        '"${TFX_AIRFLOW_HOME}/taxi"': f'"s3://{BUCKET}/data"',
        '"${TFX_AIRFLOW_HOME}/taxi/spans"': f'"s3://{BUCKET}/data/spans"',
        '"${TFX_AIRFLOW_HOME}/serving/taxi_retraining"': f'"s3://{BUCKET}/serving"',
        'ARTIFACTS = ""': f'ARTIFACTS = "s3://{BUCKET}/retraining"',
    }
    retraining.write_dags(bundle.folder / "dags", moved)
    store.files().pipe_file(f"{BUCKET}/data/raw/trips.csv", retraining.trips(JANUARY, FEBRUARY, MARCH))
    return retraining.run(bundle, JANUARY, FEBRUARY, MARCH)


@pytest.mark.timeout(1500)
def test_retraining_runs_whole_on_s3(
    retrained: list[str], bundle: Bundle, store: ObjectStore, february_alone: dict[str, float]
) -> None:
    assert retraining.evaluations(bundle)[0] == pytest.approx(february_alone, rel=retraining.RELATIVE)
    ingest, _, _, march = retrained
    assert f"s3://{BUCKET}/data/spans/{JANUARY}/v0" in ingest
    assert "_SUCCESS" in {path.rpartition("/")[2] for path in _files(store, f"data/spans/{FEBRUARY}")}
    assert f"Span {MARCH}: version 0 is complete: s3://{BUCKET}/data/spans/{MARCH}/v0" in march
    executions = bundle.executions("taxi_retraining")
    assert {e.state for e in executions} <= {"COMPLETE", "CACHED"}
    assert not [uri for e in executions for _, _, uri in e.outputs if not uri.startswith(f"s3://{BUCKET}/")]
    assert "Warm start from" in march
    assert not [path for path in (bundle.home / "tfx").rglob("*") if path.parent.name == "pipelines"]
    assert all(SECRET not in text for text in retrained)


@pytest.mark.timeout(600)
def test_the_panel_reads_artifacts_on_s3(retrained: list[str], bundle: Bundle) -> None:
    # In a task, and as the API server does.
    assert "auc" in retrained[-1].partition("starting task_id=evaluation_diff")[2]
    [evaluation] = [
        uri
        for e in bundle.executions("taxi_retraining")[-20:]
        for kind, _, uri in e.outputs
        if kind == "ModelEvaluation"
    ][-1:]
    code = (
        "from airflow.configuration import conf\n"
        "from mlmd_panel.airflow3 import artifact_files\n"
        "from mlmd_panel.settings import SECTION, read_settings\n"
        "files = artifact_files(read_settings(lambda name: conf.get(SECTION, name, fallback=None)))\n"
        f"print('FILES', *(entry.name for entry in files.list({evaluation!r})))\n"
    )
    output = bundle.python(code, PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "plugins")]))
    assert "eval_config.json" in output.rpartition("FILES")[2]


_RETENTION = """
import json, sys
from include.tfx_airflow.contract.keep import Keep
from include.tfx_airflow.tfx_side.retention import plan
from include.tfx_airflow.tfx_side.retention.carry_out import Retention
mlmd, roots, home, now, restored = json.load(sys.stdin)
address, keep = {"kind": "sqlite", "path": mlmd}, Keep(runs=1, days=0, grace=1)
made = plan.make(address, roots, home, keep, now)
done = Retention(address, roots, home, keep, now).carry_out(made)
for id_ in restored:
    Retention(address, roots, home, keep, now).restore(id_)
assert not done.problems, done.problems
"""


def _retain(bundle: Bundle, store: ObjectStore, days: float, restored: list[int] | None = None) -> None:
    """Retention as of some days from now."""
    home = f"{bundle.home}/tfx"
    asked = [str(bundle.mlmd), [f"s3://{BUCKET}/"], home, time.time() + days * 86400, restored or []]
    done = subprocess.run(
        [TFX_PYTHON, "-c", _RETENTION],
        input=json.dumps(asked),
        env={**bundle.environment, **store.variables(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-6000:]


@pytest.mark.timeout(600)
def test_retention_sets_aside_restores_and_deletes_on_s3(bundle: Bundle, store: ObjectStore) -> None:
    root = f"s3://{BUCKET}/kept"
    bundle.write_dag("kept", "tests.pipelines.stored:create_pipeline", pipeline_root=root, cache=False)
    for _ in range(2):
        done = bundle.dags_test("kept")
        assert done.returncode == 0, done.stdout[-6000:]
    first, _, newest, used = bundle.executions("kept")
    before = _files(store, "kept")
    old_model = [f"Make/model/{first.id}/{name}" for name in ("saved_model.pb", "variables/data")]
    assert set(old_model) < set(before)
    _retain(bundle, store, 2)
    aside = _files(store, "kept")
    assert len(aside) == len(before) and {f".quarantine/{name}" for name in old_model} < set(aside)
    states = "select state from Artifact where uri = ?"
    assert _value(bundle, states, first.uri("model")) == 3  # MARKED_FOR_DELETION
    id_ = _value(bundle, "select id from Artifact where uri = ?", first.uri("text"))
    _retain(bundle, store, 2.1, [int(str(id_))])
    assert f"Make/text/{first.id}/value" in _files(store, "kept")
    _retain(bundle, store, 4)
    left = _files(store, "kept")
    assert not [name for name in left if name.startswith(".quarantine/")]
    assert sorted({name.split("/")[2] for name in left}) == sorted(map(str, (first.id, newest.id, used.id)))
    assert _value(bundle, states, first.uri("model")) == 4  # DELETED
    assert [name for name in left if f"/{first.id}/" in name] == [f"Make/text/{first.id}/value"]
