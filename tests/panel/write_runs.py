"""Writes a store with one run of each of some DAGs through ml_metadata; run in the TFX interpreter.

`python -m tests.panel.write_runs FILE FOLDER DAG_ID[=RUN_ID]...`
"""

from __future__ import annotations

import sys
from pathlib import Path


def main(path: str, folder: str, dags: list[str]) -> None:
    """Of each DAG: a run with a Write node that made a String artifact, whose file says who may read it, and another.

    The type of the execution, and that of the other artifact, are of the DAG alone and named after it.
    """
    from ml_metadata.metadata_store import MetadataStore
    from ml_metadata.proto import metadata_store_pb2 as pb

    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = path
    store = MetadataStore(config)
    task_properties = dict.fromkeys(("dag_id", "run_id", "task_id"), pb.STRING)
    task_properties |= {"map_index": pb.INT, "try_number": pb.INT}
    types = {
        name: store.put_context_type(pb.ContextType(name=name))
        for name in ("pipeline", "pipeline_run", "node")
    }
    types["airflow_task_instance"] = store.put_context_type(
        pb.ContextType(name="airflow_task_instance", properties=task_properties)
    )
    written = store.put_artifact_type(pb.ArtifactType(name="String"))
    made: dict[str, int] = {}
    for number, dag in enumerate(dags, 1):
        dag_id, _, run_id = dag.partition("=")
        run_id = run_id or f"run_of_{dag_id}"
        uri = Path(folder) / dag_id / "Write" / "text" / str(number) / "value"
        uri.parent.mkdir(parents=True)
        uri.write_text(f"value_of_{dag_id}")
        task = pb.Context(
            type_id=types["airflow_task_instance"], name=f"{dag_id}:{run_id}:Write:-1:1:{number}"
        )
        for name, value in {"dag_id": dag_id, "run_id": run_id, "task_id": "Write"}.items():
            task.properties[name].string_value = value
        task.properties["map_index"].int_value = -1
        task.properties["try_number"].int_value = 1
        contexts = [
            pb.Context(type_id=types["pipeline"], name=dag_id),
            pb.Context(type_id=types["pipeline_run"], name=f"{dag_id}:{run_id}"),
            pb.Context(type_id=types["node"], name=f"{dag_id}.Write"),
            task,
        ]
        artifact = pb.Artifact(type_id=written, uri=str(uri), state=pb.Artifact.LIVE)
        artifact.custom_properties["producer_component"].string_value = "Write"
        event = pb.Event(type=pb.Event.OUTPUT)
        event.path.steps.add().key = "text"
        event.path.steps.add().index = 0
        write = store.put_execution_type(pb.ExecutionType(name=f"tests.pipelines.{dag_id}.Write"))
        execution = pb.Execution(type_id=write, last_known_state=pb.Execution.COMPLETE)
        execution.custom_properties["message"].string_value = f"message_of_{dag_id}"
        made[dag_id], _, ids = store.put_execution(execution, [(artifact, event)], contexts)
        store.put_parent_contexts(
            [pb.ParentContext(child_id=child, parent_id=ids[0]) for child in (ids[1], ids[2])]
        )
    for dag_id, execution_id in made.items():
        notes = store.put_artifact_type(pb.ArtifactType(name=f"Notes_of_{dag_id}"))
        uri = Path(folder) / dag_id / "Write" / "notes"
        uri.mkdir(parents=True)
        [artifact_id] = store.put_artifacts(
            [pb.Artifact(type_id=notes, uri=str(uri), state=pb.Artifact.LIVE)]
        )
        event = pb.Event(type=pb.Event.OUTPUT, artifact_id=artifact_id, execution_id=execution_id)
        event.path.steps.add().key = "notes"
        event.path.steps.add().index = 0
        store.put_events([event])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
