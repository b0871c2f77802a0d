"""A store with artifacts of every kind, hostile texts and many runs, through ml_metadata and TFX's libraries; run in the TFX interpreter.

`python -m tests.panel.official_pages FOLDER` writes FOLDER/metadata.db and the artifacts; prints ids by name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_metadata.metadata_store import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as pb

from tests.components.patched_beam import patched_beam
from tests.panel import official_data, official_evaluation, official_model

HOSTILE = "</script><script>alert(1)</script>\"'&\u202e{{7*7}}"
SMALL_RUNS = 30
_TASK = ("dag_id", "run_id", "task_id")


class _Writer:
    def __init__(self, path: Path) -> None:
        config = pb.ConnectionConfig()
        config.sqlite.filename_uri = str(path)
        config.sqlite.connection_mode = config.sqlite.READWRITE_OPENCREATE
        self._store = MetadataStore(config)
        self.ids: dict[str, int] = {}

    def _context(self, type_name: str, name: str) -> pb.Context:
        type_id = self._store.put_context_type(pb.ContextType(name=type_name))
        return pb.Context(type_id=type_id, name=name)

    def _task(self, dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int) -> pb.Context:
        properties = {**dict.fromkeys(_TASK, pb.STRING), "map_index": pb.INT, "try_number": pb.INT}
        kind = pb.ContextType(name="airflow_task_instance", properties=properties)
        made = pb.Context(
            type_id=self._store.put_context_type(kind),
            name=f"{dag_id}:{run_id}:{task_id}:{map_index}:{try_number}:x",
        )
        for name, value in zip(_TASK, (dag_id, run_id, task_id), strict=True):
            made.properties[name].string_value = value
        made.properties["map_index"].int_value = map_index
        made.properties["try_number"].int_value = try_number
        return made

    def run(
        self,
        pipeline: str,
        run_id: str,
        node: str,
        inputs: Sequence[str] = (),
        outputs: Sequence[Any] = (),
        state: str = "COMPLETE",
        tries: int = 1,
        group: str = "",
        map_index: int = -1,
    ) -> None:
        """An execution: inputs are names of artifacts, outputs (name, type, uri, properties) or names."""
        task_id = f"{group}.{node}" if group else node
        read = self._store.get_artifacts_by_id([self.ids[name] for name in inputs])
        by_id = {artifact.id: artifact for artifact in read}
        pairs = [(by_id[self.ids[name]], self._event(pb.Event.INPUT, name)) for name in inputs]
        names = []
        for output in outputs:
            if isinstance(output, str):
                artifact, name = self._store.get_artifacts_by_id([self.ids[output]])[0], output
            else:
                name, artifact = output[0], self._artifact(*output)
            names.append(name)
            pairs.append((artifact, self._event(pb.Event.OUTPUT, name)))
        kind = self._store.put_execution_type(pb.ExecutionType(name=f"tfx.components.{node}"))
        execution = pb.Execution(type_id=kind, last_known_state=pb.Execution.State.Value(state))
        execution.custom_properties["note"].string_value = HOSTILE
        contexts = [
            self._context("pipeline", pipeline),
            self._context("pipeline_run", f"{pipeline}:{run_id}"),
            self._context("node", f"{pipeline}.{node}"),
            self._task(pipeline, run_id, task_id, map_index, tries),
        ]
        made, artifacts, contexts_made = self._store.put_execution(
            execution, pairs, contexts, reuse_context_if_already_exist=True
        )
        self.ids |= dict(zip(names, artifacts[len(inputs) :], strict=True))
        self.ids[f"{run_id}/{task_id}/{tries}" + (f"/{map_index}" if map_index >= 0 else "")] = made
        self.ids[f"run {run_id}"] = contexts_made[1]
        for child in contexts_made[1:3]:
            if not self._store.get_parent_contexts_by_context(child):
                self._store.put_parent_contexts(
                    [pb.ParentContext(child_id=child, parent_id=contexts_made[0])]
                )

    def _artifact(self, name: str, type_name: str, uri: str, properties: dict) -> pb.Artifact:
        declared = {"Examples": {"span": pb.INT, "version": pb.INT, "split_names": pb.STRING}}
        kind = pb.ArtifactType(name=type_name, properties=declared.get(type_name, {}))
        made = pb.Artifact(type_id=self._store.put_artifact_type(kind), uri=uri, state=pb.Artifact.LIVE)
        for key, value in properties.items():
            place = made.properties if key in declared.get(type_name, {}) else made.custom_properties
            place[key].MergeFrom(pb.Value(int_value=value) if isinstance(value, int) else _text(value))
        return made

    @staticmethod
    def _event(kind: int, name: str) -> pb.Event:
        event = pb.Event(type=kind)
        event.path.steps.add().key = name
        event.path.steps.add().index = 0
        return event


def _text(value: str) -> pb.Value:
    return pb.Value(string_value=value)


def artifacts(folder: Path) -> None:
    """Writes artifacts of every kind below a folder."""
    for part in (official_data, official_evaluation, official_model):
        made = folder / part.__name__.rpartition("_")[2]
        made.mkdir(parents=True)
        with patched_beam():
            part.main(made)
    (folder / "blessing").mkdir()
    (folder / "blessing" / "BLESSED").touch()


def store(folder: Path) -> dict[str, int]:
    """Writes a store about them.

    Returns:
      Ids: of artifacts by name, of runs as `run <run id>`, of executions as `<run id>/<node>/<try>`.
    """
    data, model, evaluation = (str(folder / name) for name in ("data", "model", "evaluation"))
    writer = _Writer(folder / "metadata.db")
    splits = {"split_names": '["train", "eval"]'}
    for number in range(SMALL_RUNS):
        writer.run("many", f"small {number}", "Nothing")
    first, second = "scheduled__2014-01-01T00:00:00+00:00", "manual__2014-02-01T00:00:00+00:00"
    examples = {"span": 7, "version": 0, **splits}
    writer.run("taxi", first, "ExampleGen", outputs=[("examples", "Examples", f"{data}/examples", examples)])
    statistics = ("statistics", "ExampleStatistics", f"{data}/statistics", splits)
    writer.run("taxi", first, "StatisticsGen", ["examples"], [statistics])
    writer.run("taxi", first, "SchemaGen", ["statistics"], [("schema", "Schema", f"{data}/schema", {})])
    anomalies = ("anomalies", "ExampleAnomalies", f"{data}/anomalies", splits)
    writer.run("taxi", first, "ExampleValidator", ["statistics", "schema"], [anomalies])
    graph = ("graph", "TransformGraph", f"{model}/transform", {})
    writer.run("taxi", first, "Transform", ["examples", "schema"], [graph])
    writer.run(
        "taxi", first, "Tuner", ["graph"], [("best", "HyperParameters", f"{model}/best_hyperparameters", {})]
    )
    writer.run("taxi", first, "Trainer", ["graph", "best"], [("model", "Model", f"{model}/model", {})])
    judged = [
        ("compared", "ModelEvaluation", f"{evaluation}/compared", {}),
        ("blessing", "ModelBlessing", f"{folder}/blessing", {"blessed": 1}),
    ]
    writer.run("taxi", first, "Evaluator", ["examples", "model"], judged)
    writer.run(
        "taxi", first, "Pusher", ["model"], [("pushed", "PushedModel", f"{model}/pushed", {"pushed": 1})]
    )
    writer.run("taxi", second, "ExampleGen", outputs=["examples"], state="CACHED")
    writer.run("taxi", second, "Trainer", ["examples"], state="FAILED")
    gone = ("gone", "Model", f"{folder}/gone", {})
    writer.run("taxi", second, "Trainer", ["examples"], [gone], tries=2)
    writer.run(
        "taxi",
        second,
        "Evaluator",
        ["gone"],
        [("bootstrap", "ModelEvaluation", f"{evaluation}/bootstrap", {})],
    )
    writer.run("taxi", second, "Pusher", ["gone"], state="FAILED")
    regions(writer, folder)
    outside = ("outside", HOSTILE, f"javascript:alert(1)//{HOSTILE}", {HOSTILE: HOSTILE, "long": "x" * 5000})
    classes = ("classes", "ModelEvaluation", f"{evaluation}/classes", {})
    writer.run(HOSTILE, "odd/1?a=b#c", "a/b", ["examples"], [outside, classes])
    for name in ("models", "rivals", "outputs", "labels", "many", "no_thresholds"):
        judged = [(name, "ModelEvaluation", f"{evaluation}/{name}", {})]
        writer.run("judged", f"judged {name}", "Evaluator", outputs=judged)
    return writer.ids


def regions(writer: _Writer, folder: Path) -> None:
    """A DAG run in which one pipeline stands in two task groups and, mapped, twice in a third."""
    evaluation = folder / "evaluation"
    writer.run("regions", "both", "SchemaGen")
    for number, (group, map_index) in enumerate((("north", -1), ("south", -1), ("each", 0), ("each", 1))):
        name, where = f"{group}{map_index}", {"group": group, "map_index": map_index}
        examples = (f"examples {name}", "Examples", f"{folder}/data/examples", {"span": number, "version": 0})
        writer.run("regions", "both", "ExampleGen", outputs=[examples], **where)
        if group == "south":
            writer.run("regions", "both", "Evaluator", [examples[0]], state="FAILED", **where)
        judged = [
            (
                f"evaluation {name}",
                "ModelEvaluation",
                f"{evaluation}/{('compared', 'bootstrap')[number % 2]}",
                {},
            ),
            (f"blessing {name}", "ModelBlessing", f"{folder}/blessing", {"blessed": int(group != "south")}),
        ]
        tries = 2 if group == "south" else 1
        writer.run("regions", "both", "Evaluator", [examples[0]], judged, tries=tries, **where)
        if group != "south":
            pushed = (f"pushed {name}", "PushedModel", f"{folder}/model/pushed", {"pushed": 1})
            writer.run("regions", "both", "Pusher", [judged[1][0]], [pushed], **where)


if __name__ == "__main__":
    artifacts(Path(sys.argv[1]))
    print(json.dumps(store(Path(sys.argv[1]))))
