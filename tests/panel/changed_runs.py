"""Runs of a retraining pipeline that differ in all that can change, with the files of their artifacts; made once."""

from __future__ import annotations

import atexit
import dataclasses
import functools
import json
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

from google.protobuf import text_format
from mlmd_panel.evaluation.changes.between import between
from mlmd_panel.evaluation.changes.changed import Changes
from mlmd_panel.files import protos
from mlmd_panel.files.allowed import Files
from mlmd_panel.store import address
from mlmd_panel.store.engine import make_engine
from mlmd_panel.store.run_summaries import summaries
from mlmd_panel.store.store import Dags, Store

from tests.panel import tfx_child
from tests.panel.data_artifacts import official_data
from tests.panel.written import written

BEFORE, NOW, AGAIN, PROMOTED, OTHER = (
    "taxi:before", "taxi:now", "taxi:again", "promotion:one", "elsewhere:it's 1",
)  # fmt: skip
_SCHEMA = """
feature { name: "city" type: BYTES domain: "cities" presence { min_fraction: 1 }
  drift_comparator { infinity_norm { threshold: 0.05 } } }
feature { name: "fare" type: FLOAT drift_comparator { jensen_shannon_divergence { threshold: 0.5 } } }
feature { name: "old" type: INT }
string_domain { name: "cities" value: "Bern" value: "Chur" }
"""
_SCHEMA_NOW = """
feature { name: "city" type: BYTES domain: "cities" presence { min_fraction: 0.9 }
  drift_comparator { infinity_norm { threshold: 0.05 } } }
feature { name: "fare" type: INT drift_comparator { jensen_shannon_divergence { threshold: 0.5 } } }
feature { name: "new" type: INT }
string_domain { name: "cities" value: "Bern" value: "Genf" }
"""
_ANOMALIES = """
anomaly_info { key: "city" value { severity: ERROR path { step: "city" }
  reason { type: ENUM_TYPE_UNEXPECTED_STRING_VALUES description: "Examples contain Uri." } } }
anomaly_info { key: "fare" value { severity: WARNING path { step: "fare" }
  reason { type: FLOAT_TYPE_BIG_FLOAT description: "Up to %s." } } }
"""
_ANOMALIES_NOW = """
anomaly_info { key: "fare" value { severity: WARNING path { step: "fare" }
  reason { type: FLOAT_TYPE_BIG_FLOAT description: "Up to 99." }
  reason { type: FEATURE_TYPE_LOW_FRACTION_PRESENT description: "Often missing." } } }
"""
_EVAL_CONFIG = {"evalConfig": {"modelSpecs": [{"labelKey": "tip"}]}, "version": "0.47.1"}


@dataclasses.dataclass(frozen=True)
class Changed:
    """The store and the files."""

    folder: Path
    ids: dict[str, int]

    @property
    def store(self) -> Store:
        """Anew, as its index is of a moment."""
        return Store(make_engine(address.of_file(self.folder / "metadata.db")))

    def between(
        self, baseline: str, candidate: str, dags: Dags = None, files: Files | None = None
    ) -> Changes:
        """What changed between two of the runs."""
        store = self.store
        two = summaries(store, [store.run(self.ids[name], None) for name in (baseline, candidate)])
        return between(store, files or Files([str(self.folder)]), dags, *two)


def _graph(mean: float) -> bytes:
    """The graph that TensorFlow Transform wrote for official_data, whose rows have a mean of 3, with another mean."""
    path = written().folder / "model/transform/transform_fn/saved_model.pb"
    model = protos.message("tensorflow.SavedModel").FromString(path.read_bytes())
    for node in model.meta_graphs[0].graph_def.node:
        tensor = node.attr["value"].tensor
        if node.op == "Const" and tensor.dtype == 1 and 3.0 in (*tensor.float_val, *_packed(tensor)):
            tensor.ClearField("tensor_content")
            tensor.float_val[:] = [mean]
    return model.SerializeToString()


def _packed(tensor: Any) -> tuple[float, ...]:
    return struct.unpack("<f", tensor.tensor_content) if len(tensor.tensor_content) == 4 else ()


class _Writer:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.executions: list[dict[str, Any]] = []

    def file(self, name: str, content: str | bytes) -> str:
        """Writes a file; returns the folder that is its artifact's."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(self.folder / name.partition("/")[0])

    def add(self, run: str, type_: str, properties: dict, inputs: list, outputs: list, **more: Any) -> None:
        """Adds an execution."""
        self.executions.append(
            {
                "run": run,
                "type": type_,
                "properties": properties,
                "inputs": inputs,
                "outputs": outputs,
                **more,
            }
        )

    def span(self, run: str, span: int, statistics: str) -> None:
        """Ingests a span, and computes its statistics; they are those of `statistics`, a dataset of official_data."""
        made = official_data().folder / f"drift/{statistics}/FeatureStats.pb"
        for split in ("train", "eval"):
            self.file(f"statistics {span}/Split-{split}/FeatureStats.pb", made.read_bytes())
        splits = {"split_names": '["train", "eval"]'}
        self.add(
            run, "include.components.SpanExampleGen",
            {"span": span, "input_config": f'{{"pattern": "{span}/v0/*"}}', "output_config": '{"buckets": 4}'},
            [], [["examples", f"examples {span}", "Examples", f"{self.folder}/examples {span}",
                  {"span": span, "version": 0, "input_fingerprint": f"files of {span}", **splits}]],
        )  # fmt: skip
        self.add(
            run, "tfx.StatisticsGen", {"exclude_splits": "[]"}, [["examples", f"examples {span}"]],
            [["statistics", f"statistics {span}", "ExampleStatistics", f"{self.folder}/statistics {span}", splits]],
        )  # fmt: skip

    def train(self, run: str, window: list[int], span: int, which: str, **properties: Any) -> None:
        """Validates, transforms, trains and evaluates; `which` names the artifacts."""
        anomalies = protos.message("tensorflow.metadata.v0.Anomalies")()
        described = _ANOMALIES % 50 if which == "before" else _ANOMALIES_NOW
        text_format.Parse(described, anomalies, descriptor_pool=protos.pool())
        found = self.file(f"anomalies {which}/Split-eval/SchemaDiff.pb", anomalies.SerializeToString())
        schema = self.file(f"schema {which}/schema.pbtxt", _SCHEMA if which == "before" else _SCHEMA_NOW)
        words = "Bern\nChur\nZug\n" if which == "before" else "Chur\nBern\nZürich\nZug\n"
        graph = self.file(f"graph {which}/transform_fn/assets/city", words)
        self.file(f"graph {which}/transform_fn/saved_model.pb", _graph(3.0 if which == "before" else 3.5))
        self.file(f"evaluation {which}/eval_config.json", json.dumps(_EVAL_CONFIG))
        version = {"tfx_version": properties.pop("tfx", "1.16.0")}
        code = properties.pop("code", "aaaa")
        self.add(run, "tfx.ImportSchemaGen", {}, [], [["schema", f"schema {which}", "Schema", schema, {}]])
        self.add(
            run, "tfx.ExampleValidator", {},
            [["statistics", f"statistics {span}"], ["schema", f"schema {which}"]],
            [["anomalies", f"anomalies {which}", "ExampleAnomalies", found, {"split_names": '["eval"]'}]],
        )  # fmt: skip
        transformed = [
            ["transformed_examples", f"transformed {which} {n}", "Examples", "/x", {}] for n in window
        ]
        self.add(
            run, "tfx.Transform", {"code_fingerprint": "tttt", "module_path": "taxi.preprocessing"},
            [*(["examples", f"examples {n}"] for n in window), ["schema", f"schema {which}"]],
            [["transform_graph", f"graph {which}", "TransformGraph", graph, version], *transformed],
        )  # fmt: skip
        best = properties.pop("best", None)
        tuned = []
        if best is not None:
            uri = self.file(f"best {which}/best_hyperparameters.txt", json.dumps({"values": best}))
            self.add(run, "tfx.Tuner", {}, [], [["best", f"best {which}", "HyperParameters", uri, {}]])
            tuned = [["hyperparameters", f"best {which}"]]
        warm = properties.pop("start", None)
        self.add(
            run, "tfx.Trainer",
            {"code_fingerprint": code, "module_path": "taxi.model", "train_args": '{"num_steps": 100}', **properties},
            [
                *(["examples", f"transformed {which} {n}"] for n in window), ["transform_graph", f"graph {which}"],
                ["schema", f"schema {which}"], *tuned, *([["base_model", warm]] if warm else []),
            ],
            [["model", f"model {which}", "Model", f"{self.folder}/model {which}", version]],
        )  # fmt: skip

    def judge(
        self, run: str, which: str, model: str, span: int, against: str = "", **properties: Any
    ) -> None:
        """Evaluates a model on a span."""
        self.file(f"evaluation {which}/eval_config.json", json.dumps(_EVAL_CONFIG))
        self.add(
            run, "tfx.Evaluator", {"example_splits": '["eval"]', **properties},
            [["examples", f"examples {span}"], ["model", model], *([["baseline_model", against]] if against else [])],
            [["evaluation", f"evaluation {which}", "ModelEvaluation", f"{self.folder}/evaluation {which}", {}]],
        )  # fmt: skip


@functools.cache
def changed_runs() -> Changed:
    """Writes them.

    `taxi:before` and `taxi:now` differ in everything; `taxi:again` takes all from the cache of `taxi:now`;
    `promotion:one` judges the model of `taxi:now` on the same span again; `elsewhere` is of another program.
    """
    folder = Path(tempfile.mkdtemp(prefix="panel-changed-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    writer = _Writer(folder)
    writer.span(BEFORE, 1, "before")
    writer.span(BEFORE, 2, "before")
    writer.train(BEFORE, [1], 2, "before")
    writer.judge(BEFORE, "before", "model before", 2)
    writer.span(NOW, 3, "now")
    writer.train(
        NOW, [1, 2], 3, "now", code="bbbb", tfx="1.17.0", best={"units": 8}, start="model before",
        train_args='{"num_steps": 50}',
    )  # fmt: skip
    writer.judge(NOW, "now", "model now", 3, "model before")
    cached = [dict(one) for one in writer.executions if one["run"] == NOW]
    for one in cached:
        outputs = [[channel, name] for channel, name, *_ in one["outputs"]]
        writer.executions.append({**one, "run": AGAIN, "inputs": [], "outputs": outputs, "state": "CACHED"})
    writer.judge(PROMOTED, "promoted", "model now", 3, eval_config='{"options": {}}')
    writer.add(OTHER, "other.Train", {"rate": "0.1"}, [], [["model", "other", "Model", "/nowhere", {}]])
    printed = tfx_child.run("write_executions", folder / "metadata.db", text=json.dumps(writer.executions))
    return Changed(folder, json.loads(printed.splitlines()[-1]))
