"""TFX's own example pipeline, run by reference, unchanged."""

from __future__ import annotations

from pathlib import Path

from tests.bundle import TFX_PACKAGES, Bundle


def test_the_example_of_tfx_itself_runs_unchanged(bundle: Bundle, tmp_path: Path) -> None:
    package = (
        f"${{TFX_PREFIX}}/lib/{TFX_PACKAGES.parent.name}/site-packages/tfx/examples/chicago_taxi_pipeline"
    )
    bundle.write_dag(
        "tfx_example",
        "tfx.examples.chicago_taxi_pipeline.taxi_pipeline_native_keras:_create_pipeline",
        pipeline_name="tfx_example",
        pipeline_root=str(tmp_path / "root"),
        data_root=f"{package}/data/simple",
        module_file=str(TFX_PACKAGES / "tfx/examples/chicago_taxi_pipeline/taxi_utils_native_keras.py"),
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
