"""The main job as a new user runs it: `make demo`'s command, and what it leaves behind.

A browser looks at that, too: tests/panel/mounts/test_browser_airflow.py.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.bundle import Demo, dag_file, run_demo

_PREDICT = """
import glob, sys
import tensorflow as tf
folder = max(glob.glob(sys.argv[1] + "/*"))
model = tf.saved_model.load(folder)
def example(**features):
    feature = {}
    for name, value in features.items():
        if isinstance(value, str):
            feature[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
        elif isinstance(value, int):
            feature[name] = tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
        else:
            feature[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()
trip = dict(fare=12.45, trip_miles=3.2, trip_start_hour=19, trip_start_day=6, trip_start_month=5)
trips = [
    example(**trip, trip_seconds=840, payment_type="Credit Card", company="Flash Cab"),
    example(**trip, trip_seconds=840, payment_type="Cash", company="Flash Cab"),
    example(fare=7.0),
]
signature = model.signatures["serving_default"]
outputs = signature(examples=tf.constant(trips))["outputs"].numpy()
print("SHAPE", *outputs.shape)
print("OUTPUTS", *(f"{x:.6f}" for x in outputs.ravel()))
"""


def test_the_demo_ends_with_a_blessed_pushed_model_that_predicts(demo: Demo) -> None:
    bundle, said = demo.bundle, demo.said
    assert "Model: BLESSED" in said
    serving = bundle.home / "tfx" / "serving" / "taxi"
    assert f"Pushed: {serving}" in said
    executions = bundle.executions("taxi", demo.run_id)
    assert {e.state for e in executions} == {"COMPLETE"}
    assert len(executions) == 9
    auc = next(line.split() for line in said.splitlines() if line.strip().startswith("auc "))
    lower = float(auc[2].strip("[,"))
    assert lower > 0.85, auc

    done = subprocess.run(
        [bundle.environment["AIRFLOW__TFX_AIRFLOW__PYTHON"], "-c", _PREDICT, str(serving)],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line[:1].isupper()}
    assert lines["SHAPE"] == ["3", "1"]
    card, cash, little_known = map(float, lines["OUTPUTS"])
    assert all(0 <= value <= 1 for value in (card, cash, little_known))
    assert card > 0.2 > cash, "tips are recorded for cards only, and the model must have learnt it"


@pytest.mark.long
def test_a_second_demo_compares_with_the_first_and_takes_the_rest_from_the_cache(
    demo: Demo,
) -> None:
    bundle = demo.bundle
    run_demo(bundle)
    states = {e.node: e.state for e in bundle.executions("taxi")[9:]}
    assert states.pop("latest_blessed_model_resolver") == "COMPLETE"
    # The baseline is another one now, so the Evaluator compares; all that is before it comes from the cache.
    compared = {name: states.pop(name) for name in ("Evaluator", "Pusher")}
    assert set(states.values()) == {"CACHED"}, states
    assert set(compared.values()) <= {"COMPLETE", "CACHED"}
    assert (bundle.home / "tfx" / "serving" / "taxi").is_dir()


def test_a_failing_node_makes_the_demo_fail_and_shows_why(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "demo_fails.py").write_text(
        dag_file("demo_fails", "tests.pipelines.small:resolver_without_input")
    )
    command = ("python", "-m", "include.tfx_airflow", "demo", "demo_fails")
    done = demo.bundle.run(*command, AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path))
    assert done.returncode != 0
    assert "latest ..." in done.stdout and "InputResolutionError" in done.stdout and "demo.log" in done.stdout
