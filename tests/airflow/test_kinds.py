"""Nodes of every kind that LocalDagRunner runs."""

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
