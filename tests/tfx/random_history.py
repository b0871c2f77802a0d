"""Random histories in an MLMD store, and what TFX's own resolution and the bundle's find in them."""

from __future__ import annotations

import random
import re
import tempfile
from pathlib import Path
from typing import Any

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2 as pb
from tfx import v1 as tfx
from tfx.dsl.compiler import compiler
from tfx.orchestration.portable import inputs_utils, runtime_parameter_utils
from tfx.proto import range_config_pb2
from tfx.proto.orchestration import pipeline_pb2

from include.components.blessed_before import BlessedBefore
from include.components.chosen import ChosenModel, ChosenNumber, ExamplesOfSpan
from include.components.not_superseded import NotSuperseded
from include.components.rolling_window import RollingWindow
from include.components.served_model import ServedModel
from include.components.tuned_before import TunedBefore
from include.tfx_airflow.tfx_side.mlmd import mlmd_store
from include.tfx_airflow.tfx_side.node import input_resolution
from include.tfx_airflow.tfx_side.node.launch import LockedMetadata
from tests.pipelines.history import Deliver, Train

PIPELINE, RUN = "flow", "now"
_standard = tfx.types.standard_artifacts
_Artifact, _Event, _Execution = pb.Artifact, pb.Event, pb.Execution
_STATES = (_Execution.COMPLETE, _Execution.COMPLETE, _Execution.CACHED, _Execution.FAILED)


class Everything(tfx.dsl.experimental.ResolverStrategy):
    """A user's own strategy: chooses whatever it is given, in that order."""

    def resolve_artifacts(self, store: Any, input_dict: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Resolves; called by TFX."""
        return dict(input_dict)


class OldestBlessed(BlessedBefore):
    """A subclass that chooses among all: what its base class needs is not enough for it."""

    def resolve_artifacts(self, store: Any, input_dict: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """Resolves; called by TFX."""
        return {key: sorted(found, key=lambda a: a.id)[:1] for key, found in input_dict.items()}


def resolvers() -> dict[str, pipeline_pb2.PipelineNode]:
    """The IR of a Resolver of each kind, in a run named RUN."""
    deliver, late = Deliver(span=4).with_id("ExampleGen"), Deliver(span=6).with_id("Late")
    newest, train = (
        deliver.outputs["examples"],
        Train(examples=deliver.outputs["examples"]).with_id("Trainer"),
    )
    numbers = [ChosenNumber(number=0).with_id(id_) for id_ in ("chosen model", "chosen span")]
    chosen_model, chosen_span = (number.outputs["chosen"] for number in numbers)

    def channel(kind: Any, **of: Any) -> Any:
        return tfx.dsl.Channel(type=kind, **of)

    experimental, range_config = tfx.dsl.experimental, range_config_pb2.RangeConfig
    ranges = {
        "rolling": range_config(rolling_range=range_config_pb2.RollingRange(num_spans=2)),
        "rolling from": range_config(
            rolling_range=range_config_pb2.RollingRange(num_spans=9, start_span_number=3)
        ),
        "static": range_config(
            static_range=range_config_pb2.StaticRange(start_span_number=2, end_span_number=4)
        ),
        "no span": range_config(
            static_range=range_config_pb2.StaticRange(start_span_number=90, end_span_number=99)
        ),
    }
    examples = {"examples": channel(_standard.Examples, producer_component_id="ExampleGen")}
    models = {"model": channel(_standard.Model), "model_blessing": channel(_standard.ModelBlessing)}
    gated = {
        "model": channel(_standard.Model, producer_component_id="Trainer"),
        "model_blessing": channel(_standard.ModelBlessing, producer_component_id="EvidenceGate"),
        "former_blessing": channel(_standard.ModelBlessing, producer_component_id="Evaluator"),
    }
    kinds: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
        "blessed before": (BlessedBefore, {}, {**models, "newest": newest}),
        "blessed before, by two": (BlessedBefore, {}, {**gated, "newest": newest}),
        "oldest blessed": (OldestBlessed, {}, {**models, "newest": newest}),
        "window": (RollingWindow, {"spans": 2, "gate": "Gate"}, {**examples, "newest": newest}),
        "window, no gate": (RollingWindow, {"spans": 3, "at_least": 2}, {**examples, "newest": newest}),
        "tuned before": (
            TunedBefore,
            {},
            {"hyperparameters": channel(_standard.HyperParameters), "newest": newest},
        ),
        "not superseded": (
            NotSuperseded,
            {},
            {"model": train.outputs["model"], "pushed": channel(_standard.PushedModel), "newest": newest},
        ),
        **{
            f"served, required: {required}": (
                ServedModel,
                {"required": required},
                {"model": channel(_standard.Model), "pushed": channel(_standard.PushedModel)},
            )
            for required in (True, False)
        },
        "model by number": (
            ChosenModel,
            {},
            {"model": channel(_standard.Model), "chosen": chosen_model, "examples": late.outputs["examples"]},
        ),
        "span by number": (ExamplesOfSpan, {"gate": "Gate"}, {**examples, "span": chosen_span}),
        "span by number or model": (
            ExamplesOfSpan,
            {},
            {**examples, "span": chosen_span, "behind": train.outputs["model"]},
        ),
        "latest": (experimental.LatestArtifactStrategy, {}, models),
        "latest three": (
            experimental.LatestArtifactStrategy,
            {"desired_num_of_artifacts": 3},
            {"model": channel(_standard.Model, producer_component_id="Trainer", output_key="model")},
        ),
        "latest blessed": (experimental.LatestBlessedModelStrategy, {}, models),
        "everything": (Everything, {}, {**models, **examples, "newest": newest}),
        "nothing of the kind": (experimental.LatestArtifactStrategy, {}, {"bad": channel(_standard.Bytes)}),
        **{
            f"spans, {name}": (experimental.SpanRangeStrategy, {"range_config": config}, examples)
            for name, config in ranges.items()
        },
    }
    nodes = [
        tfx.dsl.Resolver(strategy_class=kind, config=config, **channels).with_id(name)
        for name, (kind, config, channels) in kinds.items()
    ]
    pipeline = compiler.Compiler().compile(
        tfx.dsl.Pipeline(
            PIPELINE, pipeline_root="/nowhere", components=[deliver, late, train, *numbers, *nodes]
        )
    )
    runtime_parameter_utils.substitute_runtime_parameter(pipeline, {"pipeline-run-id": RUN})
    found = {node.pipeline_node.node_info.id: node.pipeline_node for node in pipeline.nodes}
    return {name: found[name] for name in kinds}


class History:
    """Writes executions with their contexts and events, as TFX does."""

    def __init__(self, store: mlmd.MetadataStore, seed: int, values: Path | None = None):
        """Takes an empty store, and a folder for the numbers that the run chooses; it chooses none without."""
        self._store, self.random, self._values = store, random.Random(seed), values
        self._types: dict[str, int] = {}

    def _type(self, kind: str, name: str) -> int:
        if (kind, name) not in self._types:
            if kind == "artifact":
                made = getattr(_standard, name)().artifact_type
            else:
                made = {"context": pb.ContextType, "execution": pb.ExecutionType}[kind](name=name)
            self._types[kind, name] = getattr(self._store, f"put_{kind}_type")(made)
        return self._types[kind, name]

    def execute(
        self,
        run: tuple[str, str],
        node: str,
        state: int,
        inputs: list[tuple[str, int]],
        outputs: list[tuple[str, str | int, dict[str, int | str]]],
        internal: bool = False,
    ) -> list[int]:
        """Adds an execution.

        Args:
          run: Pipeline and run.
          node: Id of the node; the execution's type too.
          state: Its last known state.
          inputs: Key and artifact.
          outputs: Key, and the id of an artifact or the type of a new one with its custom properties.
          internal: It is a Resolver's.

        Returns:
          Ids of the outputs.
        """
        pairs = []
        for key, artifact in inputs:
            [found] = self._store.get_artifacts_by_id([artifact])
            pairs.append(
                (found, self._event(_Event.INTERNAL_INPUT if internal else _Event.INPUT, key, len(pairs)))
            )
        kind = _Event.PENDING_OUTPUT if state == _Execution.FAILED else _Event.OUTPUT
        for key, made, properties in outputs:
            if isinstance(made, int):
                [artifact] = self._store.get_artifacts_by_id([made])
            else:
                live = self.random.random() < 0.9 and state != _Execution.FAILED
                artifact = _Artifact(
                    type_id=self._type("artifact", made), state=_Artifact.LIVE if live else _Artifact.DELETED
                )
                artifact.uri = f"files/{self.random.random()}"
                for name, value in properties.items():
                    field = "int_value" if isinstance(value, int) else "string_value"
                    setattr(artifact.custom_properties[name], field, value)
            pairs.append(
                (artifact, self._event(_Event.INTERNAL_OUTPUT if internal else kind, key, len(pairs)))
            )
        pipeline, name = run
        names = {"pipeline": pipeline, "pipeline_run": name, "node": f"{pipeline}.{node}"}
        contexts = [pb.Context(type_id=self._type("context", t), name=n) for t, n in names.items()]
        execution = _Execution(type_id=self._type("execution", node), last_known_state=state)
        _, ids, _ = self._store.put_execution(execution, pairs, contexts, reuse_context_if_already_exist=True)
        return ids[len(inputs) :]

    @staticmethod
    def _event(kind: int, key: str, index: int) -> pb.Event:
        event = pb.Event(type=kind)
        event.path.steps.add().key = key
        event.path.steps.add().index = index
        return event

    def write(self, runs: int) -> None:
        """Adds runs of two pipelines, and this run's examples and model."""
        chance, delivered, models = self.random, [], []
        for number in range(runs):
            run = (chance.choice((PIPELINE, PIPELINE, "other")), f"run {number}")
            span: int | str = chance.randint(1, 6)
            properties = {
                "span": str(span) if chance.random() < 0.1 else span,
                "version": chance.randint(0, 2),
            }
            if chance.random() < 0.03:
                del properties["span"]
            again = delivered and chance.random() < 0.2
            source = chance.choice(delivered) if again else "Examples"
            examples = self.execute(
                run, "ExampleGen", chance.choice(_STATES), [], [("examples", source, properties)]
            )
            delivered = sorted({*delivered, *examples})
            self.execute(run, "Gate", chance.choice(_STATES), [("examples", examples[0])], [])
            window = chance.sample(delivered, min(len(delivered), chance.randint(1, 3)))
            tuned = [("best", "HyperParameters", {})]
            if chance.random() < 0.5:
                transformed = self.execute(
                    run, "Transform", 3, [("examples", e) for e in window], [("out", "Examples", {})]
                )
                self.execute(run, "Tuner", chance.choice(_STATES), [("examples", transformed[0])], tuned)
            if models and chance.random() < 0.4:
                self.execute(run, "baseline", 3, [], [("model", chance.choice(models), {})], internal=True)
            models += self.execute(
                run,
                "Trainer",
                chance.choice(_STATES),
                [("examples", e) for e in window],
                [("model", "Model", {})],
            )
            self._judge(run, chance.choice(models), chance.choice(delivered))
        if chance.random() < 0.9:
            made = self.execute((PIPELINE, RUN), "ExampleGen", 3, [], [("examples", "Examples", {"span": 4})])
            self.execute((PIPELINE, RUN), "Trainer", 3, [("examples", made[0])], [("model", "Model", {})])
        if self._values:
            self.execute((PIPELINE, RUN), "Late", 3, [], [("examples", "Examples", {"span": 6})])
            some = chance.sample(models, min(len(models), 3))
            self._choose(self._values / "model", chance.choice([0, 0, 10**6, *some]))
            self._choose(self._values / "span", chance.choice([0, 0, 9, *range(1, 7)]))

    def _choose(self, file: Path, number: int) -> None:
        """Adds what a ChosenNumber of this run gives."""
        [id_] = self.execute((PIPELINE, RUN), f"chosen {file.name}", 3, [], [("chosen", "Integer", {})])
        [artifact] = self._store.get_artifacts_by_id([id_])
        file.write_text(str(number))
        artifact.uri = str(file)
        self._store.put_artifacts([artifact])

    def _judge(self, run: tuple[str, str], model: int, examples: int) -> None:
        chance = self.random

        def blessing() -> dict[str, int | str]:
            return {"blessed": chance.randint(0, 1), "current_model_id": model}

        outputs: list[tuple[str, str | int, dict[str, int | str]]] = [("evaluation", "ModelEvaluation", {})]
        outputs.append(("blessing", "ModelBlessing", blessing()))
        inputs = [("model", model), ("examples", examples)]
        evaluation, first = self.execute(run, "Evaluator", chance.choice(_STATES), inputs, outputs)
        if chance.random() < 0.5:
            self.execute(
                run,
                "EvidenceGate",
                chance.choice(_STATES),
                [("evaluation", evaluation), ("model", model)],
                [("blessing", "ModelBlessing", blessing())],
            )
        if chance.random() < 0.5:
            pushed = {"pushed": chance.randint(0, 1)}
            inputs = [("model", model), ("model_blessing", first)]
            self.execute(
                run, "Pusher", chance.choice(_STATES), inputs, [("pushed_model", "PushedModel", pushed)]
            )


def found(node: pipeline_pb2.PipelineNode, handle: Any) -> Any:
    """What a node's inputs are resolved to: ids by key, or the error."""
    try:
        resolved = inputs_utils.resolve_input_artifacts(pipeline_node=node, metadata_handle=handle)
    except Exception as error:
        cause = error.__cause__ or error
        return type(error).__name__, type(cause).__name__, re.sub("0x[0-9a-f]+", "", str(cause))
    return [{key: [a.id for a in artifacts] for key, artifacts in one.items()} for one in resolved]


def check(address: dict[str, Any], seed: int, runs: int) -> list[str]:
    """Asserts that both resolve each Resolver alike, in an empty store that gets a history.

    Returns:
      Names of the Resolvers that found something.
    """
    nodes = resolvers()
    Path(address.get("path", "/")).parent.mkdir(parents=True, exist_ok=True)
    fruitful = []
    with tempfile.TemporaryDirectory() as values:
        with mlmd_store.open_store(address) as store:
            History(store, seed, Path(values)).write(runs)
        with LockedMetadata(address) as handle:
            for name, node in nodes.items():
                expected = found(node, handle)
                with input_resolution.from_database(node, address):
                    here = found(node, handle)
                assert here == expected, f"{name}, seed {seed}: {here} instead of {expected}"
                if isinstance(expected, list) and any(any(one.values()) for one in expected):
                    fruitful.append(name)
    return fruitful
