"""The gate with evidence as a node of a run: what it leaves in MLMD, in files and in XCom."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tfx import v1 as tfx

from include.components.evidence_gate import EvidenceGate
from include.tfx_airflow.contract.node import NodeRequest, NodeResult
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.node import node
from tests.components.evaluation import evaluate

pytestmark = pytest.mark.slow

MakeRequest = Callable[..., NodeRequest]
_types = tfx.types.standard_artifacts
# Nobody computed intervals, so that nothing is known of the change.
_CONFIG = """
model_specs { name: "candidate" label_key: "label" prediction_key: "new" }
model_specs { name: "baseline" label_key: "label" prediction_key: "old" is_baseline: true }
slicing_specs {}
metrics_specs {
  model_names: "candidate" model_names: "baseline"
  metrics { class_name: "BinaryAccuracy" threshold {
    value_threshold { lower_bound { value: 0.7 } }
    change_threshold { direction: HIGHER_IS_BETTER absolute { value: -0.1 } }
  } }
}
"""


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a model that is right in 3 of 4 cases, where its baseline was right in all."""
    rows = pd.DataFrame(
        {"label": [0.0, 1.0, 0.0, 1.0], "new": [0.1, 0.9, 0.1, 0.1], "old": [0.1, 0.9, 0.1, 0.9]}
    )
    folder = tmp_path_factory.mktemp("gated")
    for name in ("new", "old"):
        (folder / name / "Format-Serving").mkdir(parents=True)
        (folder / name / "Format-Serving" / "saved_model.pb").write_text(name)
    return evaluate(rows, _CONFIG, folder / "evaluation")


def _pipeline(evaluation: Path, compared: bool = True, **rules: Any) -> tfx.dsl.Pipeline:
    """A judged model, and a node that runs only if it is blessed."""
    judged = tfx.dsl.Importer(source_uri=str(evaluation), artifact_type=_types.ModelEvaluation).with_id(
        "judged"
    )
    models = [
        tfx.dsl.Importer(source_uri=str(evaluation.parent / name), artifact_type=_types.Model).with_id(name)
        for name in ("new", "old")
    ]
    before = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestBlessedModelStrategy,
        model=tfx.dsl.Channel(type=_types.Model, producer_component_id="nobody"),
        model_blessing=tfx.dsl.Channel(type=_types.ModelBlessing, producer_component_id="nobody"),
    ).with_id("before")
    gate = EvidenceGate(
        evaluation=judged.outputs["result"],
        model=models[0].outputs["result"],
        baseline_model=models[1].outputs["result"] if compared else before.outputs["model"],
        **rules,
    )
    with tfx.dsl.Cond(gate.outputs["blessing"].future()[0].custom_property("blessed") == 1):
        push = tfx.components.Pusher(
            model=models[0].outputs["result"],
            model_blessing=gate.outputs["blessing"],
            push_destination=tfx.proto.PushDestination(
                filesystem=tfx.proto.PushDestination.Filesystem(
                    base_directory=str(evaluation.parent / "serving")
                )
            ),
        )
    return tfx.dsl.Pipeline("gated", pipeline_root="", components=[judged, *models, before, gate, push])


def _run(make_request: MakeRequest, pipeline: tfx.dsl.Pipeline) -> NodeResult:
    for name in ("judged", "new", "old", "before"):
        node.run(make_request(pipeline, name))
    return node.run(make_request(pipeline, "EvidenceGate"))


def _properties(address: dict[str, Any], result: NodeResult) -> dict[str, Any]:
    """Custom properties of the blessing in MLMD."""
    [blessing] = result.outputs["blessing"]
    with mlmd_store.open_store(address) as store:
        [artifact] = store.get_artifacts_by_id([blessing["id"]])
    values = {
        name: getattr(value, value.WhichOneof("value")) for name, value in artifact.custom_properties.items()
    }
    return {name: value for name, value in values.items() if name not in ("name", "tfx_version")}


@pytest.mark.parametrize(
    ("inconclusive", "blessed", "waiting"),
    [("pass", 1, {}), ("fail", 0, {}), ("wait", 0, {"waiting_for": "human"})],
)
def test_policy_decides_about_an_inconclusive_evaluation(
    make_request: MakeRequest,
    address: dict[str, Any],
    evaluation: Path,
    inconclusive: str,
    blessed: int,
    waiting: dict[str, str],
) -> None:
    pipeline = _pipeline(evaluation, inconclusive=inconclusive)
    result = _run(make_request, pipeline)
    found = _properties(address, result)
    reason = found.pop("reason")
    assert reason.startswith(
        "1 of 2 checks is inconclusive: binary_accuracy changed by -0.25; allowed: absolute -0.1"
    )
    verdict = {"verdict": "inconclusive", "passed": 1, "failed": 0, "inconclusive": 1, "decides": 1}
    models = {key: found.pop(key) for key in tuple(found) if "model" in key}
    assert models == {
        "current_model": str(evaluation.parent / "new"),
        "current_model_id": models["current_model_id"],
        "baseline_model": str(evaluation.parent / "old"),
        "baseline_model_id": models["baseline_model_id"],
    }
    assert models["current_model_id"] != models["baseline_model_id"]
    assert {key: found[key] for key in (*verdict, *waiting, "blessed")} == {
        **verdict,
        **waiting,
        "blessed": blessed,
    }
    assert ("waiting_for" in found) == bool(waiting)
    [output] = result.outputs["blessing"]
    assert result.summary == {
        "evidence": {
            **verdict,
            "blessed": bool(blessed),
            "decides": True,
            "reason": reason,
            "waiting_for": "",
            **waiting,
        }
    }
    folder = Path(output["uri"])
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["evidence.json", "BLESSED" if blessed else "NOT_BLESSED"]
    )
    table = json.loads((folder / "evidence.json").read_text())
    assert (table["verdict"], table["tfma"], table["compared"]) == ("inconclusive", False, True)
    assert table["rules"] == {"inconclusive": inconclusive, "value_thresholds": "point", "min_examples": 30}
    assert [(check["bound"], check["outcome"]) for check in table["checks"]] == [
        ("lower", "passed"),
        ("absolute", "inconclusive"),
    ]
    pushed = node.run(make_request(pipeline, "Pusher"))
    assert pushed.state == ("executed" if blessed else "skipped")
    if blessed:
        assert (Path(pushed.summary["pushed"]) / "saved_model.pb").read_text() == "new"


def test_first_model_has_no_baseline_and_a_verdict_that_is_only_recorded_says_so(
    make_request: MakeRequest, address: dict[str, Any], evaluation: Path
) -> None:
    result = _run(make_request, _pipeline(evaluation, compared=False, decides=False))
    found = _properties(address, result)
    assert "baseline_model" not in found and "baseline_model_id" not in found
    assert (found["blessed"], found["decides"]) == (1, 0)
    assert result.summary["evidence"]["decides"] is False


def test_unknown_policy_is_refused(make_request: MakeRequest, evaluation: Path) -> None:
    with pytest.raises(ValueError, match="inconclusive = 'perhaps' is not one of"):
        _run(make_request, _pipeline(evaluation, inconclusive="perhaps"))
