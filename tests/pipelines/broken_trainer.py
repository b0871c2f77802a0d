"""A Trainer whose run_fn is broken, on three rows of CSV."""

from __future__ import annotations

from tfx import v1 as tfx


def run_fn(fn_args: object) -> None:
    """Fails as a user's training code does."""
    layers = {"dense": 3}
    layers["convolution"] += 1


def create_pipeline(data_root: str) -> tfx.dsl.Pipeline:
    """ExampleGen and the broken Trainer."""
    examples = tfx.components.CsvExampleGen(input_base=data_root)
    trainer = tfx.components.Trainer(
        run_fn="tests.pipelines.broken_trainer.run_fn",
        examples=examples.outputs["examples"],
        train_args=tfx.proto.TrainArgs(num_steps=1),
        eval_args=tfx.proto.EvalArgs(num_steps=1),
    )
    return tfx.dsl.Pipeline("broken_trainer", pipeline_root="", components=[examples, trainer])
