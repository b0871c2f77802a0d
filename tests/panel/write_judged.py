"""Writes runs whose evaluations have given values, through ml_metadata and TFMA; run in the TFX interpreter.

`python -m tests.panel.write_judged FILE FOLDER` reads a JSON list of runs from standard input, oldest first:

    {"pipeline": "taxi", "run_id": "first", "span": 201401, "model": "a", "baseline": null, "blessed": 1,
     "slices": {"": {"examples": 400, "auc": [[0.95, 0.01], null, null]}}}

A slice is `feature=value`, or "" for all examples; a metric has value and standard error of the model, of the baseline
and of their difference. A run without slices has no evaluation.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_model_analysis as tfma
from google.protobuf import json_format
from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as pb
from tensorflow_model_analysis import types
from tensorflow_model_analysis.metrics import metric_types
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer as writer

_CONFIG = """{
  "modelSpecs": [{"name": "candidate", "labelKey": "big_tip"}, {"name": "baseline", "labelKey": "big_tip", "isBaseline": true}],
  "slicingSpecs": [{}, {"featureKeys": ["payment"]}],
  "metricsSpecs": [{"metrics": [{"className": "ExampleCount"}, {"className": "AUC", "threshold": {
    "valueThreshold": {"lowerBound": 0.5},
    "changeThreshold": {"direction": "HIGHER_IS_BETTER", "absolute": -0.01}
  }}]}],
  "options": {"computeConfidenceIntervals": true, "confidenceIntervals": {"method": "JACKKNIFE"}}
}"""
_BUCKETS = 20


class Judged:
    """A store with runs of a Trainer and an Evaluator each."""

    def __init__(self, path: str, folder: str) -> None:
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = path
        self.store, self.folder = MetadataStore(config), Path(folder)
        self.models: dict[str, int] = {}

    def add(self, run: dict[str, Any]) -> None:
        """Adds a run."""
        model = self.models.get(run["model"])
        if model is None:
            trained, ids = self._execution(run, "Trainer", [], {"model": ("Model", {}, "")})
            model = self.models[run["model"]] = ids["model"]
        if not run.get("slices"):
            return
        _, made = self._execution(
            run, "ExampleGen", [], {"examples": ("Examples", {"span": run["span"]}, "")}
        )
        inputs = [("model", model), ("examples", made["examples"])]
        if run["baseline"]:
            inputs.append(("baseline_model", self.models[run["baseline"]]))
        uri = self.folder / run["pipeline"] / "Evaluator" / run["run_id"]
        self._evaluation(uri, run)
        blessing = {"blessed": run["blessed"], "current_model_id": model}
        outputs = {
            "evaluation": ("ModelEvaluation", {}, str(uri)),
            "blessing": ("ModelBlessing", blessing, ""),
        }
        self._execution(run, "Evaluator", inputs, outputs)

    def _evaluation(self, uri: Path, run: dict[str, Any]) -> None:
        uri.mkdir(parents=True)
        config = json.loads(_CONFIG)
        if not run["baseline"]:
            del config["modelSpecs"][1]
        message = json_format.ParseDict({"evalConfig": config}, tfma.proto.config_pb2.EvalRun())
        (uri / "eval_config.json").write_text(json_format.MessageToJson(message))
        with tf.io.TFRecordWriter(str(uri / "metrics-00000-of-00001.tfrecord")) as file:
            for name, metrics in run["slices"].items():
                feature, _, value = name.partition("=")
                key = ((feature, value),) if feature else ()
                numbers = _metrics(metrics, bool(run["baseline"]))
                file.write(writer.convert_slice_metrics_to_proto((key, numbers), None).SerializeToString())

    def _execution(
        self, run: dict[str, Any], node: str, inputs: list[tuple[str, int]], outputs: dict[str, Any]
    ) -> tuple[int, dict[str, int]]:
        type_id = self.store.put_execution_type(pb.ExecutionType(name=f"tfx.components.{node}"))
        pairs = [
            (self.store.get_artifacts_by_id([id_])[0], _event(pb.Event.INPUT, key)) for key, id_ in inputs
        ]
        for key, (type_, properties, uri) in outputs.items():
            artifact = pb.Artifact(
                type_id=self.store.put_artifact_type(pb.ArtifactType(name=type_)),
                uri=uri or str(self.folder / run["pipeline"] / node / run["run_id"]),
                state=pb.Artifact.LIVE,
            )
            for name, value in properties.items():
                artifact.custom_properties[name].int_value = value
            pairs.append((artifact, _event(pb.Event.OUTPUT, key)))
        execution = pb.Execution(type_id=type_id, last_known_state=pb.Execution.COMPLETE)
        id_, artifacts, _ = self.store.put_execution(
            execution, pairs, self._contexts(run, node), reuse_context_if_already_exist=True
        )
        return id_, dict(zip(outputs, artifacts[len(inputs) :], strict=True))

    def _contexts(self, run: dict[str, Any], node: str) -> list[pb.Context]:
        pipeline = run["pipeline"]
        names = {
            "pipeline": pipeline,
            "pipeline_run": f"{pipeline}:{run['run_id']}",
            "node": f"{pipeline}.{node}",
        }
        return [
            pb.Context(type_id=self.store.put_context_type(pb.ContextType(name=type_)), name=name)
            for type_, name in names.items()
        ]


def _event(kind: Any, key: str) -> pb.Event:
    event = pb.Event(type=kind)
    event.path.steps.add().key = key
    event.path.steps.add().index = 0
    return event


def _metrics(metrics: dict[str, Any], compared: bool) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    sides = [("candidate", False), ("baseline", False), ("candidate", True)]
    for name, values in metrics.items():
        if name == "examples":
            for model, _ in sides[: 2 if compared else 1]:
                found[metric_types.MetricKey("example_count", model_name=model)] = float(values)
            continue
        for (model, is_diff), value in zip(sides, values, strict=True):
            if value is None:
                continue
            mean, error = value
            key = metric_types.MetricKey(name, model_name=model, is_diff=is_diff)
            found[key] = types.ValueWithTDistribution(mean, error, _BUCKETS - 1, mean)
    return found


def main(path: str, folder: str) -> None:
    """Writes all runs."""
    judged = Judged(path, folder)
    for run in json.load(sys.stdin):
        judged.add(run)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
