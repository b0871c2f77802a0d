"""A store as after years of runs: `python -m tests.panel.scale <address> --runs 20000`, in the TFX interpreter.

Runs of nine nodes each of taxi-like pipelines, written by ml_metadata into a SQLite file: types, contexts, properties
and events as this bundle and TFX write them. For a server the file's rows are copied, which takes less time.
The address is sqlite:////folder/metadata.db, mysql://user:password@host:port/database or postgresql://...
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import datetime
import io
import json
import os
import sqlite3
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb

from include.tfx_airflow.tfx_side.mlmd import setup

# One name begins with another and a dot; DAGs are named as their pipelines.
PIPELINES = ("taxi_retraining", "taxi_retraining.eu", "fares", "tips")
_BATCH = 400
_WORD = {str: pb.STRING, int: pb.INT}
_CONTEXTS: dict[str, dict[str, int]] = {
    "pipeline": {},
    "pipeline_run": {},
    "node": {},
    "airflow_task_instance": {
        "dag_id": pb.STRING,
        "run_id": pb.STRING,
        "task_id": pb.STRING,
        "map_index": pb.INT,
        "try_number": pb.INT,
    },
}
_SPLITS = {"span": pb.INT, "split_names": pb.STRING}
_ARTIFACTS: dict[str, dict[str, int]] = {
    "Schema": {},
    "Examples": {**_SPLITS, "version": pb.INT},
    "ExampleStatistics": _SPLITS,
    "ExampleAnomalies": _SPLITS,
    "TransformGraph": {},
    "Model": {},
    "ModelEvaluation": {},
    "ModelBlessing": {},
    "PushedModel": {},
}
# Of each node: execution type, channels that it reads with the nodes that made them, and types of its outputs.
_NODES: dict[str, tuple[str, dict[str, tuple[str, str]], dict[str, str]]] = {
    "ImportSchemaGen": (
        "tfx.components.schema_gen.import_schema_gen.component.ImportSchemaGen",
        {},
        {"schema": "Schema"},
    ),
    "SpanExampleGen": (
        "include.components.span_example_gen.SpanExampleGen",
        {},
        {"examples": "Examples"},
    ),
    "StatisticsGen": (
        "tfx.components.statistics_gen.component.StatisticsGen",
        {"examples": ("SpanExampleGen", "examples")},
        {"statistics": "ExampleStatistics"},
    ),
    "blessed_before": ("tfx.dsl.components.common.resolver.Resolver", {}, {}),
    "ExampleValidator": (
        "tfx.components.example_validator.component.ExampleValidator",
        {"statistics": ("StatisticsGen", "statistics"), "schema": ("ImportSchemaGen", "schema")},
        {"anomalies": "ExampleAnomalies"},
    ),
    "Transform": (
        "tfx.components.transform.component.Transform",
        {"examples": ("SpanExampleGen", "examples"), "schema": ("ImportSchemaGen", "schema")},
        {"transform_graph": "TransformGraph", "transformed_examples": "Examples"},
    ),
    "Trainer": (
        "tfx.components.trainer.component.Trainer",
        {
            "examples": ("Transform", "transformed_examples"),
            "transform_graph": ("Transform", "transform_graph"),
            "schema": ("ImportSchemaGen", "schema"),
        },
        {"model": "Model"},
    ),
    "Evaluator": (
        "tfx.components.evaluator.component.Evaluator",
        {
            "examples": ("SpanExampleGen", "examples"),
            "model": ("Trainer", "model"),
            "baseline_model": ("blessed_before", "model"),
        },
        {"evaluation": "ModelEvaluation", "blessing": "ModelBlessing"},
    ),
    "Pusher": (
        "tfx.components.pusher.component.Pusher",
        {"model": ("Trainer", "model"), "model_blessing": ("Evaluator", "blessing")},
        {"pushed_model": "PushedModel"},
    ),
}
NODES = tuple(_NODES)
_REUSED = ("StatisticsGen", "ExampleValidator", "Transform", "Trainer")


class _Builder:
    """Writes runs in batches: MLMD's calls for many rows take contexts, artifacts, executions and events apart."""

    def __init__(self, store: mlmd.MetadataStore):
        self._store = store
        self._types = {
            **{n: store.put_context_type(pb.ContextType(name=n, properties=p)) for n, p in _CONTEXTS.items()},
            **{
                n: store.put_artifact_type(pb.ArtifactType(name=n, properties=p))
                for n, p in _ARTIFACTS.items()
            },
            **{t: store.put_execution_type(pb.ExecutionType(name=t)) for t, _, _ in _NODES.values()},
        }
        pipelines = [pb.Context(type_id=self._types["pipeline"], name=p) for p in PIPELINES]
        self._pipelines = dict(zip(PIPELINES, store.put_contexts(pipelines), strict=True))
        names = [(p, n) for p in PIPELINES for n in NODES]
        nodes = [pb.Context(type_id=self._types["node"], name=f"{p}.{n}") for p, n in names]
        self._nodes = dict(zip(names, store.put_contexts(nodes), strict=True))
        # Of each pipeline the artifacts of the run before, and the last that were blessed.
        self._before: dict[str, dict[tuple[str, str], int]] = {p: {} for p in PIPELINES}
        self._artifacts = 0
        self._blessed: dict[str, dict[str, int]] = {p: {} for p in PIPELINES}

    def write(self, numbers: range, last: int, is_hourly: bool = False) -> None:
        """Writes runs of these numbers; the last of all still runs."""
        runs = [_Run(number, number == last, is_hourly) for number in numbers]
        contexts = self._store.put_contexts(
            [pb.Context(type_id=self._types["pipeline_run"], name=run.name) for run in runs]
        )
        tasks, executions, artifacts = [], [], []
        models: dict[str, int] = {}
        for run in runs:
            for node in run.nodes:
                tasks.append(self._task(run, node))
                executions.append(self._execution(run, node))
                for key, type_ in run.outputs(node):
                    artifacts.append(self._artifact(run, node, key, type_, models.get(run.pipeline, 0)))
                    if type_ == "Model":
                        models[run.pipeline] = self._artifacts + len(artifacts)
        task_ids = self._store.put_contexts(tasks)
        execution_ids = iter(self._store.put_executions(executions))
        artifact_ids = iter(self._store.put_artifacts(artifacts) if artifacts else [])
        self._artifacts += len(artifacts)
        task_ids = iter(task_ids)
        events, associations, attributions = [], [], set()
        for run, context in zip(runs, contexts, strict=True):
            for node in run.nodes:
                execution = next(execution_ids)
                within = (
                    self._pipelines[run.pipeline],
                    context,
                    self._nodes[run.pipeline, node],
                    next(task_ids),
                )
                associations += [pb.Association(context_id=c, execution_id=execution) for c in within]
                for kind, key, artifact in self._edges(run, node, artifact_ids):
                    events.append(_event(execution, artifact, kind, key))
                    attributions |= {(c, artifact) for c in within}
        self._store.put_events(events)
        found = [pb.Attribution(context_id=c, artifact_id=a) for c, a in sorted(attributions)]
        self._store.put_attributions_and_associations(found, associations)

    def _edges(self, run: _Run, node: str, new: Iterator[int]) -> Iterator[tuple[int, str, int]]:
        """Kind, key and artifact of each event of an execution; takes the ids of what it made."""
        known, blessed = self._before[run.pipeline], self._blessed[run.pipeline]
        for key, (maker, channel) in _NODES[node][1].items():
            source = blessed.get(channel) if maker == "blessed_before" else known.get((maker, channel))
            # MLMD takes one event of a kind between the two.
            again = key == "baseline_model" and source == known["Trainer", "model"]
            if source is not None and not again:
                yield pb.Event.INPUT, key, source
        if node == "blessed_before":
            for key, artifact in blessed.items():
                yield pb.Event.INTERNAL_OUTPUT, key, artifact
        made = {key for key, _ in run.outputs(node)}
        for key in _NODES[node][2]:
            if key in made:
                known[node, key] = next(new)
            if run.state(node) in (pb.Execution.COMPLETE, pb.Execution.CACHED):
                yield pb.Event.OUTPUT, key, known[node, key]
        if node == "Evaluator" and run.number % 3:
            blessed.update(model=known["Trainer", "model"], model_blessing=known["Evaluator", "blessing"])

    def _task(self, run: _Run, node: str) -> pb.Context:
        made = pb.Context(
            type_id=self._types["airflow_task_instance"],
            name=f"{run.name}:{node}:-1:1:{run.number:012x}",
        )
        values = {
            "dag_id": run.pipeline,
            "run_id": run.run_id,
            "task_id": node,
            "map_index": -1,
            "try_number": 1,
        }
        for name, value in values.items():
            _set(made.properties[name], value)
        return made

    def _execution(self, run: _Run, node: str) -> pb.Execution:
        made = pb.Execution(type_id=self._types[_NODES[node][0]], last_known_state=run.state(node))
        made.name = f"{run.number}-{node}"
        if node == "SpanExampleGen":
            _set(made.custom_properties["span"], run.span)
            _set(made.custom_properties["input_base"], "/srv/taxi/spans")
        elif node == "Trainer":
            _set(made.custom_properties["train_args"], json.dumps({"num_steps": 100 + run.number % 7}))
            _set(made.custom_properties["module_path"], "include.taxi.model")
        elif node == "Evaluator":
            _set(made.custom_properties["fairness_indicator_thresholds"], "null")
        return made

    def _artifact(self, run: _Run, node: str, key: str, type_: str, model: int) -> pb.Artifact:
        made = pb.Artifact(type_id=self._types[type_], state=pb.Artifact.LIVE)
        made.uri = f"/srv/tfx/pipelines/{run.pipeline}/{node}/{key}/{run.number}"
        if type_ in ("Examples", "ExampleStatistics", "ExampleAnomalies"):
            _set(made.properties["span"], run.span)
            _set(made.properties["split_names"], '["train", "eval"]')
        custom: dict[str, str | int] = {"tfx_version": "1.16.0", "is_external": 0}
        if node == "SpanExampleGen":
            custom.update(span=run.span, version=0)
        elif type_ == "ModelBlessing":
            # The model of a run that takes it from the cache may be older than this batch.
            model = model or self._before[run.pipeline]["Trainer", "model"]
            custom.update(blessed=int(bool(run.number % 3)), current_model_id=model)
        elif type_ == "PushedModel":
            custom.update(pushed=1, pushed_version=str(run.number))
        for name, value in custom.items():
            _set(made.custom_properties[name], value)
        return made


class _Run:
    """One run: every tenth fails in its Trainer, every tenth takes from the cache what the run before made."""

    def __init__(self, number: int, is_last: bool, is_hourly: bool = False):
        self.number, self._is_last = number, is_last
        self.pipeline = PIPELINES[number % len(PIPELINES)]
        self._turn = number // len(PIPELINES)
        if is_hourly:
            self.pipeline, self._turn = PIPELINES[0], number
        between = datetime.timedelta(hours=1) if is_hourly else datetime.timedelta(days=1)
        interval = datetime.datetime(1990, 1, 1) + self._turn * between
        self.run_id = f"scheduled__{interval.isoformat()}+00:00"
        self.name = f"{self.pipeline}:{self.run_id}"
        self._fails = self._turn % 10 == 3
        self._reuses = self._turn % 10 == 6
        self.span = self._turn + 1 - self._reuses

    @property
    def nodes(self) -> tuple[str, ...]:
        """Nodes that have an execution."""
        return NODES[: NODES.index("Trainer") + 1] if self._fails or self._is_last else NODES

    def state(self, node: str) -> int:
        """State of a node's execution."""
        if node == "Trainer" and (self._fails or self._is_last):
            return pb.Execution.FAILED if self._fails else pb.Execution.RUNNING
        cached = node == "ImportSchemaGen" and self._turn > 0 or self._reuses and node in _REUSED
        return pb.Execution.CACHED if cached else pb.Execution.COMPLETE

    def outputs(self, node: str) -> list[tuple[str, str]]:
        """Keys and types of what a node makes that was not there before."""
        return list(_NODES[node][2].items()) if self.state(node) == pb.Execution.COMPLETE else []


def _set(target: pb.Value, value: str | int) -> None:
    if isinstance(value, int):
        target.int_value = value
    else:
        target.string_value = value


def _event(execution: int, artifact: int, kind: int, key: str) -> pb.Event:
    made = pb.Event(execution_id=execution, artifact_id=artifact, type=kind)
    made.path.steps.add().key = key
    made.path.steps.add().index = 0
    return made


def build(path: str, runs: int, is_hourly: bool = False) -> None:
    """Makes a SQLite store with these runs; about 150 runs a second.

    Args:
      path: Of a file that is not there yet.
      runs: How many.
      is_hourly: All of one pipeline, an hour apart; otherwise daily ones of several.
    """
    config = pb.ConnectionConfig()
    config.sqlite.filename_uri = path
    config.sqlite.connection_mode = pb.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    builder = _Builder(mlmd.MetadataStore(config))
    for start in range(0, runs, _BATCH):
        builder.write(range(start, min(start + _BATCH, runs)), runs - 1, is_hourly)


def copy(path: str, address: dict[str, Any]) -> None:
    """Copies the rows of a SQLite store into a server's, whose schema is made and has to be empty."""
    setup.init(address)
    connect = _mysql if address["kind"] == "mysql" else _postgresql
    with contextlib.closing(sqlite3.connect(path)) as source, connect(address) as put:
        names = "select name from sqlite_master where type = 'table' and name not like 'sqlite%'"
        for (table,) in source.execute(names).fetchall():
            # Types 1 to 9 and the version come with every schema.
            where = {"Type": " where id > 9", "MLMDEnv": " where 0"}.get(table, "")
            cursor = source.execute(f"select * from {table}{where}")
            put(table, [column[0] for column in cursor.description], cursor)


@contextlib.contextmanager
def _mysql(address: dict[str, Any]) -> Iterator[Any]:
    import pymysql

    names = ("host", "port", "user", "password", "database")
    with contextlib.closing(pymysql.connect(**{name: address[name] for name in names})) as connection:
        cursor = connection.cursor()
        cursor.execute("set unique_checks = 0")

        def put(table: str, columns: list[str], rows: sqlite3.Cursor) -> None:
            marks = ", ".join(["%s"] * len(columns))
            while some := rows.fetchmany(5_000):
                cursor.executemany(f"insert into `{table}` ({', '.join(columns)}) values ({marks})", some)
            connection.commit()
            cursor.execute(f"analyze table `{table}`")

        yield put


@contextlib.contextmanager
def _postgresql(address: dict[str, Any]) -> Iterator[Any]:
    from pg8000 import dbapi

    names = ("host", "port", "user", "password", "database")
    with contextlib.closing(dbapi.connect(**{name: address[name] for name in names})) as connection:
        cursor = connection.cursor()

        def put(table: str, columns: list[str], rows: sqlite3.Cursor) -> None:
            while some := rows.fetchmany(50_000):
                text = io.StringIO()
                csv.writer(text).writerows(some)
                stream = io.BytesIO(text.getvalue().encode())
                cursor.execute(
                    f"copy {table} ({', '.join(columns)}) from stdin with (format csv)", stream=stream
                )
            if "id" in columns:
                cursor.execute(
                    f"select setval(pg_get_serial_sequence('{table.lower()}', 'id'), max(id)) from {table}"
                )
            connection.commit()

        yield put
        connection.autocommit = True
        cursor.execute("analyze")


def parsed(url: str) -> dict[str, Any]:
    """An address of the command line as the TFX side knows it."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "sqlite":
        return {"kind": "sqlite", "path": parts.path[1:]}
    kind = parts.scheme.partition("+")[0]
    return {
        "kind": kind,
        "host": parts.hostname,
        "port": parts.port or (3306 if kind == "mysql" else 5432),
        "database": parts.path[1:],
        "user": parts.username,
        "password": urllib.parse.unquote(parts.password or ""),
        "ssl": {},
    }


def main() -> None:
    """Builds the store of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("address")
    parser.add_argument("--runs", type=int, default=20_000)
    parser.add_argument("--hourly", action="store_true", help="all of one pipeline, an hour apart")
    parser.add_argument("--source", help="a SQLite store made before, to copy from")
    asked = parser.parse_args()
    address, started = parsed(asked.address), time.monotonic()
    if address["kind"] == "sqlite":
        build(address["path"], asked.runs, asked.hourly)
    else:
        with tempfile.TemporaryDirectory() as folder:
            source = asked.source or os.path.join(folder, "metadata.db")
            if not asked.source:
                build(source, asked.runs)
            copy(source, address)
    print(f"{asked.runs} runs in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
