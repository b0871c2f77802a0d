"""Nodes of every kind that LocalDagRunner runs, and TFX's own example, unchanged."""

from __future__ import annotations

import random
from pathlib import Path

from tests.bundle import Bundle

_SCHEMA = "".join(
    f'feature {{ name: "{name}" type: FLOAT presence {{ min_fraction: 1 }} }}\n' for name in "aby"
)


def test_nodes_of_every_kind_run(bundle: Bundle, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    source = random.Random(1)
    rows = [(source.random(), source.random()) for _ in range(150)]
    (data / "data.csv").write_text("a,b,y\n" + "".join(f"{a},{b},{3 * a - b}\n" for a, b in rows))
    (tmp_path / "schema.pbtxt").write_text(_SCHEMA)
    bundle.write_dag(
        "kinds",
        "tests.pipelines.kinds:create_pipeline",
        data_root=str(data),
        schema_file=str(tmp_path / "schema.pbtxt"),
    )
    done = bundle.dags_test("kinds")
    assert done.returncode == 0, done.stdout[-6000:]
    made = {e.node: e for e in bundle.executions("kinds")}
    assert {e.state for e in made.values()} == {"COMPLETE"}
    types = {node: sorted(type_ for type_, live, _ in e.outputs if live) for node, e in made.items()}
    assert types == {
        "CsvExampleGen": ["Examples"],
        "ImportSchemaGen": ["Schema"],
        "importer": ["Examples"],
        "Tuner": ["HyperParameters", "TunerResults"],
        "Trainer": ["Model", "ModelRun"],
        "BulkInferrer": ["InferenceResult"],
        "Label": ["String"],
        "Count": ["String"],
        "AddWithBeam": ["String"],
    }
    word, number = Path(made["Count"].outputs[0][2]).read_text().split()
    assert word == "counted:" and 75 < int(number) < 125
    assert Path(made["AddWithBeam"].outputs[0][2]).read_text().strip() == "10"
    # The code of a node is in its properties and so in TFX's cache key.
    assert len(bundle.properties(made["Count"].id)["code_fingerprint"]) == 16
    assert "code_fingerprint" not in bundle.properties(made["CsvExampleGen"].id)


def test_the_example_of_tfx_itself_runs_unchanged(bundle: Bundle, tmp_path: Path) -> None:
    package = "${TFX_PREFIX}/lib/python3.10/site-packages/tfx/examples/chicago_taxi_pipeline"
    bundle.write_dag(
        "tfx_example",
        "tfx.examples.chicago_taxi_pipeline.taxi_pipeline_native_keras:_create_pipeline",
        pipeline_name="tfx_example",
        pipeline_root=str(tmp_path / "root"),
        data_root=f"{package}/data/simple",
        module_file=_example_file(bundle),
        serving_model_dir=str(tmp_path / "serving"),
        metadata_path=str(tmp_path / "unused" / "metadata.db"),
        beam_pipeline_args=["--direct_running_mode=in_memory"],
    )
    # The example's model is for Keras 2; Keras 3 answers "inputs not connected to outputs".
    done = bundle.dags_test("tfx_example", TF_USE_LEGACY_KERAS="1")
    assert done.returncode == 0, done.stdout[-6000:]
    executions = bundle.executions("tfx_example")
    assert len(executions) == 9 and {e.state for e in executions} == {"COMPLETE"}
    assert list((tmp_path / "serving").glob("*/saved_model.pb"))
    # Its own pipeline_root is kept; its MLMD address is not, the Airflow Connection decides.
    assert all(uri.startswith(str(tmp_path / "root")) for e in executions for _, _, uri in e.outputs)
    assert not (tmp_path / "unused" / "metadata.db").exists()


def _example_file(bundle: Bundle) -> str:
    prefix = Path(bundle.environment["AIRFLOW__TFX_AIRFLOW__PYTHON"]).parent.parent
    [found] = prefix.glob(
        "lib/python3.*/site-packages/tfx/examples/chicago_taxi_pipeline/taxi_utils_native_keras.py"
    )
    return str(found)
