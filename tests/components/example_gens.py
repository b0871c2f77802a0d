"""Runs an ExampleGen's executor as a node does, and reads what it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx.dsl.components.base.base_beam_executor import BaseBeamExecutor
from tfx.proto import example_gen_pb2
from tfx.types import standard_artifacts
from tfx.utils import proto_utils

IN_MEMORY = (
    "--direct_running_mode=in_memory",
    "--direct_num_workers=1",
    "--sdk_container_image=unused",
)
THIRDS = example_gen_pb2.Output(
    split_config=example_gen_pb2.SplitConfig(
        splits=[
            example_gen_pb2.SplitConfig.Split(name="train", hash_buckets=2),
            example_gen_pb2.SplitConfig.Split(name="eval", hash_buckets=1),
        ]
    )
)


def run(
    executor: type[BaseBeamExecutor],
    data: Path,
    out: Path,
    patterns: Sequence[str] = ("*",),
    output: example_gen_pb2.Output = THIRDS,
    beam: Sequence[str] = IN_MEMORY,
    **properties: Any,
) -> Any:
    """Runs an executor on the files of a folder.

    Returns:
      The artifact, in `out`.
    """
    splits = [
        example_gen_pb2.Input.Split(name=f"split{n}", pattern=pattern) for n, pattern in enumerate(patterns)
    ]
    examples = standard_artifacts.Examples()
    examples.uri = str(out)
    executor(BaseBeamExecutor.Context(beam_pipeline_args=list(beam))).Do(
        {},
        {"examples": [examples]},
        {
            "input_base": str(data),
            "input_config": proto_utils.proto_to_json(example_gen_pb2.Input(splits=splits)),
            "output_config": proto_utils.proto_to_json(output),
            "output_data_format": example_gen_pb2.FORMAT_TF_EXAMPLE,
            "output_file_format": example_gen_pb2.FORMAT_TFRECORDS_GZIP,
            **properties,
        },
    )
    return examples


def rows(folder: Path) -> dict[str, list[bytes]]:
    """The deterministic bytes of each split's Examples, sorted."""
    return {split.name: sorted(map(deterministic, read(split))) for split in folder.iterdir()}


def read(split: Path) -> list[bytes]:
    """The records of a split in the order of its files."""
    files = sorted(map(str, split.iterdir()))
    return [record.numpy() for record in tf.data.TFRecordDataset(files, "GZIP")]


def deterministic(record: bytes) -> bytes:
    """The bytes that TFX hashes."""
    return tf.train.Example.FromString(record).SerializeToString(deterministic=True)
