"""`python -m tests.panel.official_others <what>`, in the TFX interpreter: stores as other programs than TFX write them.

The address comes as JSON on standard input, what ml_metadata then reads goes to standard output.
"""

from __future__ import annotations

from typing import Any

import ml_metadata
from ml_metadata.proto import metadata_store_pb2 as pb

from include.tfx_airflow.contract import identity, mlmd_facts
from tests.panel import official_store

HOSTILE = "first try </script><script>alert(1)</script>"


def kfp(store: ml_metadata.MetadataStore, kind: str) -> None:
    """Two runs of a pipeline as Kubeflow Pipelines v2 writes them: a DAG's execution and two tasks' each."""
    pipeline = _context(store, "system.Pipeline", "penguins")
    for number in (1, 2):
        run = _context(
            store, "system.PipelineRun", f"3f1c-{number}", namespace="kubeflow", resource_name=f"wf-{number}"
        )
        store.put_parent_contexts([pb.ParentContext(child_id=run, parent_id=pipeline)])
        within = [pipeline, run]
        _execution(store, "system.DAGExecution", within, name=f"run/{run}", display_name="root")
        train = _execution(
            store, "system.ContainerExecution", within, task_name="train", display_name="Train it"
        )
        test = _execution(
            store, "system.ContainerExecution", within, state=pb.Execution.FAILED, task_name="test-model"
        )
        model = _artifact(store, "system.Model", f"gs://bucket/{number}/model", display_name="the model")
        _event(store, model, train, pb.Event.OUTPUT)
        _event(store, model, test, pb.Event.INPUT)
        for context in within:
            _attribute(store, model, context)


def guide(store: ml_metadata.MetadataStore, kind: str) -> None:
    """Experiments as MLMD's guide has them: no pipeline, no state; and what is in no context at all."""
    programme = _context(store, "Programme", "2026")
    for number in (1, 2):
        experiment = _context(store, "Experiment", f"exp{number}", note=HOSTILE)
        store.put_parent_contexts([pb.ParentContext(child_id=experiment, parent_id=programme)])
        data = _artifact(store, "DataSet", "path/to/data")
        trainer = _execution(store, "Trainer", [experiment], state=pb.Execution.UNKNOWN)
        model = _artifact(store, "SavedModel", "path/to/model")
        _event(store, data, trainer, pb.Event.DECLARED_INPUT)
        _event(store, model, trainer, pb.Event.DECLARED_OUTPUT)
        _attribute(store, model, experiment)
    loose = _execution(store, "Notebook", [], name="my loose cell")
    _event(store, data, loose, pb.Event.DECLARED_INPUT)
    _context(store, "Registered", "only artifacts", display_name="A named one")
    _attribute(store, model, store.get_context_by_type_and_name("Registered", "only artifacts").id)


def parents(store: ml_metadata.MetadataStore, kind: str) -> None:
    """Links to parents that come after the children's executions: of an old experiment, and of a new one."""
    above = _context(store, "Programme", "above")
    inner = _context(store, "Experiment", "inner")
    _execution(store, "Trainer", [above, inner])
    # Made before its child: until the link is there, nothing says which of the two the execution is of.
    outer = _context(store, "Experiment", "outer")
    _execution(store, "Trainer", [outer, inner])


def links(store: ml_metadata.MetadataStore, kind: str) -> None:
    """The links of `parents`."""
    inner = store.get_context_by_type_and_name("Experiment", "inner").id
    outer = store.get_context_by_type_and_name("Experiment", "outer").id
    above = store.get_context_by_type_and_name("Programme", "above").id
    store.put_parent_contexts([pb.ParentContext(child_id=inner, parent_id=outer)])
    store.put_parent_contexts([pb.ParentContext(child_id=outer, parent_id=above)])


def instances(store: ml_metadata.MetadataStore, kind: str) -> None:
    """A run with one pipeline in two task groups and mapped; of one instance the second attempt failed."""
    for group, map_index, states in (
        ("north", -1, "COMPLETE"),
        ("south", -1, "COMPLETE FAILED"),
        ("each", 0, "FAILED COMPLETE"),
        ("each", 1, "RUNNING"),
    ):
        for attempt, state in enumerate(states.split(), 1):
            _node(store, "dag", "manual__1", "Trainer", f"{group}.Trainer", map_index, attempt, state)
    _node(store, "dag", "manual__2", "Trainer", "Trainer", -1, 1, "COMPLETE")


def long(store: ml_metadata.MetadataStore, kind: str) -> None:
    """Two runs whose names are too long for MLMD, shortened with a hash; of one no node has begun."""
    for number in (1, 2):
        name = f"{'d' * 120}:manual__{'r' * 100}-hash{number}"
        if number == 1:
            _node(
                store,
                "d" * 250,
                "manual__" + "r" * 240,
                "Trainer",
                "g" * 200 + ".Trainer",
                7,
                1,
                "COMPLETE",
                name,
            )
        else:
            _context(store, "pipeline_run", name)


def _node(
    store: ml_metadata.MetadataStore,
    dag_id: str,
    run_id: str,
    node: str,
    task_id: str,
    map_index: int,
    attempt: int,
    state: str,
    run: str = "",
) -> None:
    task = {
        "dag_id": dag_id,
        "run_id": run_id,
        "task_id": task_id,
        "map_index": map_index,
        "try_number": attempt,
    }
    name = f"{run_id[:20]}:{task_id[:40]}:{map_index}:{attempt}"
    contexts = [
        _context(store, "pipeline", "p"),
        _context(store, "pipeline_run", run or f"{dag_id}:{run_id}"),
        _context(store, "node", f"p.{node}"),
        _context(store, mlmd_facts.TASK_CONTEXT, name, declared=True, **task),
        _context(store, mlmd_facts.TRIES_CONTEXT, identity.tries_name(task)),
        _context(store, mlmd_facts.GROUP_CONTEXT, identity.group_name(dag_id, task_id.rpartition(".")[0])),
    ]
    made = _execution(store, f"a.b.{node}", contexts, state=pb.Execution.State.Value(state))
    if state in ("COMPLETE", "FAILED"):
        model = _artifact(store, "Model", f"/{task_id}/{map_index}/{attempt}")
        _event(store, model, made, pb.Event.OUTPUT)


def _context(
    store: ml_metadata.MetadataStore, type_name: str, name: str, declared: bool = False, **properties: Any
) -> int:
    kinds = {key: pb.INT if isinstance(value, int) else pb.STRING for key, value in properties.items()}
    kind = pb.ContextType(name=type_name, properties=kinds if declared else {})
    type_id = store.put_context_type(kind, can_omit_fields=True)
    found = store.get_context_by_type_and_name(type_name, name)
    if found:
        return found.id
    made = pb.Context(type_id=type_id, name=name)
    _set(made.properties if declared else made.custom_properties, properties)
    return store.put_contexts([made])[0]


def _execution(
    store: ml_metadata.MetadataStore,
    type_name: str,
    contexts: list[int],
    name: str = "",
    state: int = pb.Execution.COMPLETE,
    **properties: Any,
) -> int:
    made = pb.Execution(type_id=store.put_execution_type(pb.ExecutionType(name=type_name)))
    if state != pb.Execution.UNKNOWN:
        made.last_known_state = state
    if name:
        made.name = name
    _set(made.custom_properties, properties)
    [id_] = store.put_executions([made])
    found = [pb.Association(execution_id=id_, context_id=context) for context in contexts]
    store.put_attributions_and_associations([], found)
    return id_


def _artifact(store: ml_metadata.MetadataStore, type_name: str, uri: str, **properties: Any) -> int:
    made = pb.Artifact(type_id=store.put_artifact_type(pb.ArtifactType(name=type_name)), uri=uri)
    _set(made.custom_properties, properties)
    return store.put_artifacts([made])[0]


def _set(target: Any, properties: dict[str, Any]) -> None:
    for key, value in properties.items():
        if isinstance(value, int):
            target[key].int_value = value
        else:
            target[key].string_value = value


def _event(store: ml_metadata.MetadataStore, artifact: int, execution: int, kind: int) -> None:
    store.put_events([pb.Event(artifact_id=artifact, execution_id=execution, type=kind)])


def _attribute(store: ml_metadata.MetadataStore, artifact: int, context: int) -> None:
    store.put_attributions_and_associations([pb.Attribution(artifact_id=artifact, context_id=context)], [])


if __name__ == "__main__":
    official_store.main(
        {
            "kfp": kfp,
            "guide": guide,
            "parents": parents,
            "links": links,
            "instances": instances,
            "long": long,
            "tasks": official_store.tasks,
        }
    )
