"""The retraining pipeline: one monthly span in, a model trained on the months before it out."""

from __future__ import annotations

import os
from typing import Any

from tfx import v1 as tfx

from include.components.anomaly_gate import AnomalyGate
from include.components.blessed_before import BlessedBefore
from include.components.evidence_gate import EvidenceGate
from include.components.not_superseded import NotSuperseded
from include.components.rolling_window import RollingWindow
from include.components.span_example_gen import SpanExampleGen
from include.components.tuned_before import TunedBefore
from include.taxi import evaluation, family, pipeline

SCHEMA_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "schema.pbtxt")
# Of a span; the eval split is for watching training. A model is evaluated on a whole later span.
_TRAIN_BUCKETS, _EVAL_BUCKETS = 4, 1
# 100 steps of 128 rows are some 6 passes over a window of six months.
DEFAULT_TRAIN_ARGS = '{"num_steps": 100}'
# The node whose blessing is followed.
DECIDERS = {"tfma": "Evaluator", "evidence": "EvidenceGate"}


def create_pipeline(
    pipeline_name: str = "taxi_retraining",
    pipeline_root: str = "",
    spans_root: str = "${TFX_AIRFLOW_HOME}/taxi/spans",
    serving_dir: str = "serving_model",
    rolling_window: int = 6,
    warm_start: bool = True,
    decided_by: str = "tfma",
    inconclusive: str = "pass",
    beam_pipeline_args: list[str] | None = None,
    enable_cache: bool = True,
) -> tfx.dsl.Pipeline:
    """Builds the pipeline of one month; a model is pushed only when it is blessed.

    The newest span is what the model is evaluated on, the `rolling_window` spans before it are what it
    is trained on: a month shows how the model would have done in it. Runtime parameters: "range_config" is the
    span, "on_anomalies" what to do about anomalies in it (fail, warn or ignore), "train_args" and
    "hyperparameters" as in `include.taxi.pipeline`. Settings that `include.taxi.tuning` found on earlier spans
    replace the defaults.

    Args:
        pipeline_name: Name under which runs and artifacts are recorded.
        pipeline_root: Folder for the artifacts.
        spans_root: Folder that `include.taxi.ingest` writes.
        serving_dir: Folder that receives one numbered subfolder per pushed model.
        rolling_window: Number of spans to train on.
        warm_start: Whether training starts from the last model blessed before this span.
        decided_by: Whose blessing the push and later baselines follow: "tfma", the Evaluator's, or "evidence", that
            of the EvidenceGate. The other one is recorded.
        inconclusive: What the EvidenceGate does without enough evidence: "pass", "fail" or "wait".
        beam_pipeline_args: Options for Beam; None for the in-memory runner with one worker.
        enable_cache: Whether a component with unchanged inputs reuses its earlier outputs.

    Returns:
        The pipeline, to be run by any TFX orchestrator.

    Raises:
        ValueError: Nobody of that name decides.
    """
    if decided_by not in DECIDERS:
        raise ValueError(f"decided_by = {decided_by!r} is not one of {tuple(DECIDERS)}.")
    standard = tfx.types.standard_artifacts
    example_gen = SpanExampleGen(
        input_base=spans_root,
        input_config=tfx.proto.Input(
            splits=[tfx.proto.Input.Split(name="trips", pattern="{SPAN}/v{VERSION}/trips-*")]
        ),
        output_config=tfx.proto.Output(
            split_config=tfx.proto.SplitConfig(
                splits=[
                    tfx.proto.SplitConfig.Split(name="train", hash_buckets=_TRAIN_BUCKETS),
                    tfx.proto.SplitConfig.Split(name="eval", hash_buckets=_EVAL_BUCKETS),
                ]
            )
        ),
        range_config=tfx.dsl.experimental.RuntimeParameter(name="range_config", ptype=str),
    )
    newest = example_gen.outputs["examples"]
    statistics_gen = tfx.components.StatisticsGen(examples=newest)
    schema_gen = tfx.components.ImportSchemaGen(schema_file=SCHEMA_FILE)
    schema = schema_gen.outputs["schema"]
    example_validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema
    )
    anomaly_gate = AnomalyGate(
        examples=newest,
        anomalies=example_validator.outputs["anomalies"],
        policy=tfx.dsl.experimental.RuntimeParameter(name="on_anomalies", ptype=str, default="fail"),
    )
    window = tfx.dsl.Resolver(
        strategy_class=RollingWindow,
        config={"spans": rolling_window, "gate": anomaly_gate.type},
        examples=tfx.dsl.Channel(type=standard.Examples, producer_component_id=example_gen.id),
        newest=newest,
    ).with_id("rolling_window")
    window.add_upstream_node(anomaly_gate)
    baseline = tfx.dsl.Resolver(
        strategy_class=BlessedBefore,
        model=tfx.dsl.Channel(type=standard.Model),
        newest=newest,
        **_blessings(decided_by),
    ).with_id("blessed_before")
    tuned = tfx.dsl.Resolver(
        strategy_class=TunedBefore, hyperparameters=family.tuned_hyperparameters(), newest=newest
    ).with_id("tuned_before")
    transform = pipeline.transform(window.outputs["examples"], schema)
    trainer = pipeline.trainer(
        transform,
        schema,
        DEFAULT_TRAIN_ARGS,
        base_model=baseline.outputs["model"] if warm_start else None,
        hyperparameters=tuned.outputs["hyperparameters"],
    )
    evaluator = tfx.components.Evaluator(
        examples=newest,
        example_splits=["train", "eval"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        eval_config=evaluation.eval_config(evaluation.MONTHLY),
    )
    evidence_gate = EvidenceGate(
        evaluation=evaluator.outputs["evaluation"],
        model=trainer.outputs["model"],
        baseline_model=baseline.outputs["model"],
        inconclusive=inconclusive,
        decides=decided_by == "evidence",
    )
    decider = {"tfma": evaluator, "evidence": evidence_gate}[decided_by]
    blessing = decider.outputs["blessing"]
    with tfx.dsl.Cond(blessing.future()[0].custom_property("blessed") == 1):
        servable = tfx.dsl.Resolver(
            strategy_class=NotSuperseded,
            model=trainer.outputs["model"],
            pushed=tfx.dsl.Channel(type=standard.PushedModel),
            newest=newest,
        ).with_id("not_superseded")
        pusher = pipeline.pusher(servable.outputs["model"], blessing, serving_dir)
    return tfx.dsl.Pipeline(
        pipeline_name=pipeline_name,
        pipeline_root=pipeline_root,
        components=[
            example_gen,
            statistics_gen,
            schema_gen,
            example_validator,
            anomaly_gate,
            window,
            baseline,
            tuned,
            transform,
            trainer,
            evaluator,
            evidence_gate,
            servable,
            pusher,
        ],
        enable_cache=enable_cache,
        beam_pipeline_args=list(beam_pipeline_args or pipeline.DEFAULT_BEAM_ARGS),
    )


def _blessings(decided_by: str) -> dict[str, Any]:
    """Inputs of `BlessedBefore`: what the deciding node has blessed, and what the Evaluator had before it."""

    def of(node: str) -> tfx.dsl.Channel:
        return tfx.dsl.Channel(type=tfx.types.standard_artifacts.ModelBlessing, producer_component_id=node)

    found = {"model_blessing": of(DECIDERS[decided_by])}
    if decided_by != "tfma":
        found["former_blessing"] = of(DECIDERS["tfma"])
    return found
