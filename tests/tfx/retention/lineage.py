"""Random lineage with files: two pipelines whose nodes are cached, share artifacts, fail, and nest their URIs.

The reference decides what is kept in the slowest and plainest way, on what was written and not on what the store says.
"""

from __future__ import annotations

import dataclasses
import os
import random
import sqlite3
import time
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from include.tfx_airflow.contract.keep import Keep
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.retention.roots import DAY

_Event, _Execution = pb.Event, pb.Execution
NOW = float(int(time.time()))


@dataclasses.dataclass
class Made:
    """An artifact, as it was written."""

    id: int
    type: str
    uri: str
    day: float
    properties: dict[str, Any]
    is_laid_out: bool = True


@dataclasses.dataclass
class Ran:
    """An execution, as it was written."""

    id: int
    pipeline: str
    run: str
    node: str
    state: int
    day: float
    inputs: list[tuple[str, int]]
    outputs: list[int]
    chosen: list[int]


class Lineage:
    """Writes a store with its files."""

    def __init__(self, address: dict[str, Any], home: str, seed: int = 0):
        """Takes an empty store."""
        self.address, self.home, self.random = address, home, random.Random(seed)
        self.artifacts: dict[int, Made] = {}
        self.executions: list[Ran] = []
        self._types: dict[tuple[str, str], int] = {}
        self._store: mlmd.MetadataStore | None = None

    def _type(self, kind: str, name: str) -> int:
        if (kind, name) not in self._types:
            proto = {"artifact": pb.ArtifactType, "context": pb.ContextType, "execution": pb.ExecutionType}[
                kind
            ]
            self._types[kind, name] = getattr(self._store, f"put_{kind}_type")(proto(name=name))
        return self._types[kind, name]

    def __enter__(self) -> Lineage:
        self._open = mlmd_store.open_store(self.address)
        self._store = self._open.__enter__()
        return self

    def __exit__(self, *arguments: Any) -> None:
        self._store = None
        self._open.__exit__(*arguments)
        self._set_times()

    def execute(
        self,
        run: tuple[str, str],
        node: str,
        day: float,
        inputs: list[tuple[str, int]] = (),  # type: ignore[assignment]
        outputs: list[tuple[str, str | int, dict[str, Any]]] = (),  # type: ignore[assignment]
        state: int = _Execution.COMPLETE,
        chosen: list[int] = (),  # type: ignore[assignment]
        uri: str = "{root}/{node}/{key}/{id}",
    ) -> list[int]:
        """Adds an execution `day` days ago; returns the ids of its outputs."""
        assert self._store
        pipeline, name = run
        contexts = {"pipeline": pipeline, "pipeline_run": name, "node": f"{pipeline}.{node}"}
        [id_] = self._store.put_executions(
            [_Execution(type_id=self._type("execution", node), last_known_state=state)]
        )
        [execution] = self._store.get_executions_by_id([id_])
        pairs = []
        for kind, key, artifact in [(_Event.INPUT, *i) for i in inputs] + [
            (_Event.INTERNAL_OUTPUT, "chosen", c) for c in chosen
        ]:
            [found] = self._store.get_artifacts_by_id([artifact])
            pairs.append((found, _event(kind, key)))
        for key, made, properties in outputs:
            if isinstance(made, int):
                [artifact] = self._store.get_artifacts_by_id([made])
            else:
                artifact = pb.Artifact(type_id=self._type("artifact", made), state=pb.Artifact.LIVE)
                root = f"{self.home}/pipelines/{pipeline}"
                artifact.uri = uri.format(root=root, node=node, key=key, id=id_)
                for title, value in properties.items():
                    artifact.custom_properties[title].int_value = value
            pairs.append((artifact, _event(_Event.OUTPUT, key)))
        _, ids, _ = self._store.put_execution(
            execution,
            pairs,
            [pb.Context(type_id=self._type("context", t), name=n) for t, n in contexts.items()],
            reuse_context_if_already_exist=True,
        )
        out = ids[len(inputs) + len(chosen) :]
        for (_, made, properties), artifact_id, (proto, _) in zip(
            outputs, out, pairs[len(inputs) + len(chosen) :], strict=True
        ):
            if not isinstance(made, int):
                self.artifacts[artifact_id] = Made(
                    artifact_id, made, proto.uri, day, properties, "{id}" in uri
                )
                write(proto.uri)
        self.executions.append(Ran(id_, pipeline, name, node, state, day, list(inputs), out, list(chosen)))
        return out

    def _set_times(self) -> None:
        with sqlite3.connect(self.address["path"]) as connection:
            for made in self.artifacts.values():
                at = int((NOW - made.day * DAY) * 1000)
                connection.execute(
                    "update Artifact set create_time_since_epoch = ?, last_update_time_since_epoch = ? where id = ?",
                    (at, at, made.id),
                )
            for ran in self.executions:
                at = int((NOW - ran.day * DAY) * 1000)
                connection.execute(
                    "update Execution set create_time_since_epoch = ?, last_update_time_since_epoch = ? where id = ?",
                    (at, at, ran.id),
                )
                connection.execute(
                    "update Event set milliseconds_since_epoch = ? where execution_id = ?", (at, ran.id)
                )
        connection.close()

    def write(self, runs: int) -> None:
        """Adds runs of two pipelines, the oldest 100 days ago."""
        chance = self.random
        examples: list[int] = []
        models: list[int] = []
        [outside] = self.execute(
            ("flow", "run 0"),
            "Importer",
            100,
            outputs=[("result", "Schema", {"is_external": 1})],
            uri=f"{self.home}/schema",
        )
        for number in range(runs):
            day = 100 * (1 - number / runs) + 0.2
            run = (chance.choice(("flow", "flow", "other")), f"run {number}")
            last = number > runs - 3
            if examples and chance.random() < 0.3:  # from the cache
                made = self.execute(
                    run, "Gen", day, [], [("examples", chance.choice(examples), {})], _Execution.CACHED
                )
            else:
                made = self.execute(run, "Gen", day, [], [("examples", "Examples", {})])
                if chance.random() < 0.2:  # an artifact in the folder of another
                    self.execute(
                        run, "Split", day, [("examples", made[0])], [("split", "Examples", {})],
                        uri=f"{self.artifacts[made[0]].uri}/split-{number}",
                    )  # fmt: skip
            examples = sorted({*examples, *made})
            window = chance.sample(examples, min(len(examples), chance.randint(1, 3)))
            if chance.random() < 0.1:
                self.execute(run, "Trainer", day, [("examples", e) for e in window], state=_Execution.FAILED)
                continue
            [model] = self.execute(
                run,
                "Trainer",
                day,
                [*(("examples", e) for e in window), ("schema", outside)],
                [("model", "Model", {"pinned": 1} if chance.random() < 0.05 else {})],
                _Execution.RUNNING if last and chance.random() < 0.5 else _Execution.COMPLETE,
            )
            inputs = [("model", model), ("examples", chance.choice(examples))]
            if models:
                baseline = chance.choice(models)
                self.execute(run, "resolver", day, chosen=[baseline])
                inputs.append(("baseline_model", baseline))
            models.append(model)
            blessed = int(chance.random() < 0.2)
            _, blessing = self.execute(
                run,
                "Evaluator",
                day,
                inputs,
                [("evaluation", "ModelEvaluation", {}), ("blessing", "ModelBlessing", {"blessed": blessed})],
            )
            if chance.random() < 0.4:
                self.execute(
                    run,
                    "Pusher",
                    day,
                    [("model", model), ("model_blessing", blessing)],
                    [("pushed_model", "PushedModel", {"pushed": blessed})],
                )


def expected(lineage: Lineage, keep: Keep) -> tuple[set[int], set[int]]:
    """What must be kept, and what goes: a plain reading of the rules."""
    artifacts, executions = lineage.artifacts, lineage.executions
    roots = _of_runs(executions, keep.runs) | _chosen(artifacts, executions, keep)
    for id_, made in artifacts.items():
        used = [e.day for e in executions if id_ in [a for _, a in e.inputs] + e.outputs + e.chosen]
        if made.properties.get("pinned") or min([made.day, *used]) < keep.days:
            roots.add(id_)
    for e in executions:
        if e.node == "Evaluator" and dict(e.inputs)["model"] in roots:
            roots |= set(e.outputs)
    kept = set(roots)
    while True:
        more = {a for e in executions if kept & set(e.outputs) for _, a in e.inputs} - kept
        if not more:
            break
        kept |= more
    return kept, _alone(artifacts, {a.id for a in artifacts.values() if a.is_laid_out and a.id not in kept})


def _of_runs(executions: list[Ran], newest: int) -> set[int]:
    """What runs at work and the newest runs of each pipeline use."""
    found: set[int] = set()
    for pipeline in {e.pipeline for e in executions}:
        runs: dict[str, list[Ran]] = {}
        for e in executions:
            if e.pipeline == pipeline:
                runs.setdefault(e.run, []).append(e)
        by_age = sorted(runs.values(), key=lambda of_run: -max(e.id for e in of_run))
        for number, of_run in enumerate(by_age):
            if number < newest or any(e.state == _Execution.RUNNING or e.day <= 1 for e in of_run):
                for e in of_run:
                    found |= {a for _, a in e.inputs} | set(e.outputs) | set(e.chosen)
    return found


def _chosen(artifacts: dict[int, Made], executions: list[Ran], keep: Keep) -> set[int]:
    """What was pushed and blessed."""
    found: set[int] = set()
    for pipeline in {e.pipeline for e in executions}:
        first: dict[int, Ran] = {}
        for e in executions:
            if e.pipeline == pipeline and e.state != _Execution.CACHED:
                first.update({a: e for a in e.outputs})
        pushes = sorted(a for a in first if artifacts[a].properties.get("pushed"))
        for push in pushes[-(keep.pushed or len(pushes)) :]:
            found |= {push, *(a for _, a in first[push].inputs)}
        pairs = sorted(
            (dict(first[b].inputs)["model"], b) for b in first if artifacts[b].properties.get("blessed")
        )
        for pair in pairs[-(keep.blessed or len(pairs)) :]:
            found |= set(pair)
    return found


def _alone(artifacts: dict[int, Made], goes: set[int]) -> set[int]:
    """Without those that have files in a folder of one that stays, or the other way round."""
    while True:
        stay = [a.uri + "/" for a in artifacts.values() if a.id not in goes]
        shared = {
            id_
            for id_ in goes
            for s in stay
            if s.startswith(artifacts[id_].uri + "/") or (artifacts[id_].uri + "/").startswith(s)
        }
        if not shared:
            return goes
        goes = goes - shared


def write(path: str) -> None:
    """A folder with a file in it."""
    os.makedirs(path, exist_ok=True)
    Path(path, "data").write_text(path)


def is_whole(path: str) -> bool:
    """Whether what `write` has written is there."""
    file = Path(path, "data")
    return file.is_file() and file.read_text() == path


def _event(kind: int, key: str) -> pb.Event:
    event = pb.Event(type=kind)
    event.path.steps.add().key = key
    return event
