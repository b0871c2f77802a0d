"""ArrowExampleGen: CSV and Parquet files as Examples, block by block instead of row by row."""

from __future__ import annotations

import concurrent.futures
import functools
import os
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
from absl import logging
from apache_beam.pvalue import AsSingleton, TaggedOutput
from tfx import types
from tfx import v1 as tfx
from tfx.components.example_gen import utils, write_split
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_executor, executor_spec
from tfx.dsl.io import fileio
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, standard_component_specs
from tfx.utils import proto_utils
from tfx_bsl.coders.csv_decoder import ColumnType

from include.components.arrow import csv_blocks, csv_cells, csv_types, parquet, shards
from include.components.arrow.errors import InputFileError
from include.components.arrow.examples import Column, encode
from include.components.arrow.splits import Splits

_FORMAT = standard_component_specs.OUTPUT_DATA_FORMAT_KEY
# Bounds memory: some tens of megabytes.
_ROWS = 1 << 13


class Executor(base_beam_executor.BaseBeamExecutor):
    """The executor of ArrowExampleGen."""

    def Do(
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Reads, splits and writes; called by TFX.

        Args:
          input_dict: Nothing.
          output_dict: `examples`, one artifact.
          exec_properties: As those of TFX's `BaseExampleGenExecutor`.

        Raises:
          InputFileError: A file cannot be read as CSV or Parquet; the message has its name and the line.
          ValueError: Another format of the output than TFRecords of tf.Examples is asked for.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        payload = exec_properties.get(_FORMAT) or example_gen_pb2.FORMAT_TF_EXAMPLE
        if payload != example_gen_pb2.FORMAT_TF_EXAMPLE:
            name = example_gen_pb2.PayloadFormat.Name(payload)
            raise ValueError(f"ArrowExampleGen writes FORMAT_TF_EXAMPLE; {_FORMAT} is {name}.")
        file_format = exec_properties.get(standard_component_specs.OUTPUT_FILE_FORMAT_KEY) or 0
        inputs, outputs = example_gen_pb2.Input(), example_gen_pb2.Output()
        proto_utils.json_to_proto(exec_properties[standard_component_specs.INPUT_CONFIG_KEY], inputs)
        proto_utils.json_to_proto(exec_properties[standard_component_specs.OUTPUT_CONFIG_KEY], outputs)
        names = utils.generate_output_split_names(inputs, outputs)
        examples = artifact_utils.get_single_instance(output_dict[standard_component_specs.EXAMPLES_KEY])
        examples.split_names = artifact_utils.encode_split_names(names)
        with self._make_beam_pipeline() as pipeline:
            for split in inputs.splits:
                if outputs.split_config.splits:
                    splits = Splits.configured(outputs.split_config)
                else:
                    splits = Splits((split.name,))
                pattern = os.path.join(
                    exec_properties[standard_component_specs.INPUT_BASE_KEY], split.pattern
                )
                rows = pipeline | f"Read[{split.name}]" >> ReadSplits(pattern, splits)
                for name in splits.names:
                    folder = artifact_utils.get_split_uri([examples], name)
                    _ = rows[name] | f"WriteSplit[{name}]" >> shards.WriteShards(folder)
        examples_utils.set_payload_format(examples, payload)
        examples_utils.set_file_format(examples, write_split.to_file_format_str(file_format))


class ReadSplits(beam.PTransform):
    """The rows of files, by output split, as gzip members of TFRecords.

    What Beam carries from worker to worker are names of files and places in them. Every block is read twice: for
    the types of its columns, which depend on all blocks, and for its rows.
    """

    def __init__(self, pattern: str, splits: Splits):
        """Takes the pattern of the files and their output splits."""
        super().__init__()
        self._pattern, self._splits = pattern, splits

    def expand(self, pbegin: Any) -> Any:
        """Called by Beam.

        Raises:
          InputFileError: There is no file, formats are mixed, or headers differ.
        """
        files = sorted(fileio.glob(self._pattern))
        if not files:
            raise InputFileError(f"No file matches {self._pattern}.")
        logging.info("Reading %s: %d files", self._pattern, len(files))
        parquets = [path for path in files if parquet.is_parquet(path)]
        if not parquets:
            return self._csv(pbegin, files)
        if len(parquets) < len(files):
            [other, *_] = sorted(set(files) - set(parquets))
            raise InputFileError(
                f"{parquets[0]} is Parquet, {other} is not. Files of one split have one format."
            )
        groups = _spread(pbegin, files, parquet.find_row_groups)
        return groups | "Encode" >> self._encoded(_Encode(_parquet_columns, self._splits))

    def _csv(self, pbegin: Any, files: list[str]) -> Any:
        names = csv_blocks.column_names(files[0])
        for path in files[1:]:
            found = csv_blocks.column_names(path)
            if found != names:
                raise InputFileError(
                    f"Files of one split have different headers: {files[0]} has {names}, {path} has {found}."
                )
        blocks = _spread(pbegin, files, csv_blocks.find_blocks)
        kinds = blocks | "InferTypes" >> beam.FlatMap(_csv_types, names) | beam.CombineGlobally(_highest)
        read = functools.partial(_csv_columns, names)
        return blocks | "Encode" >> self._encoded(_Encode(read, self._splits), AsSingleton(kinds))

    def _encoded(self, encode: beam.DoFn, *side_inputs: Any) -> beam.PTransform:
        return beam.ParDo(encode, *side_inputs).with_outputs(*self._splits.names)


class ArrowExampleGen(tfx.components.CsvExampleGen):
    """CsvExampleGen, and FileBasedExampleGen with the Parquet executor, at the speed of Arrow.

    The same arguments, features, missing values, splits and artifact as TFX's; files that begin with "PAR1" are
    read as Parquet. Splits, spans and versions in patterns, and range_config are TFX's own.

    ArrowExampleGen(
        input_base="/data",
        input_config=Input(splits=[Input.Split(name="all", pattern="day-{SPAN}/*.csv")]),
    )

    What differs: a byte order mark is no part of the first column's name, compressed CSV files (.gz) are read, what
    cannot be read is refused with file and line, and the bytes of an Example are always the same. Rows stay in the
    order of the input within a block, and on the in-memory runner altogether, as do TFX's but for a few.
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)


def _spread(pbegin: Any, files: list[str], find: Any) -> beam.PCollection:
    """The blocks of files, so that any worker may take any of them."""
    return (
        pbegin
        | beam.Create(files)
        | "SpreadFiles" >> beam.Reshuffle()
        | "FindBlocks"
        >> beam.FlatMap(find).with_output_types(Any)  # pickled, whatever Beam makes of dataclasses
        | "SpreadBlocks" >> beam.Reshuffle()
    )


def _csv_types(block: csv_blocks.CsvBlock, names: list[str]) -> Iterator[dict[str, int]]:
    """The types of the columns in a block."""
    for data, line in csv_blocks.read_block(block):
        found = dict.fromkeys(names, int(ColumnType.UNKNOWN))
        for name, cells in zip(names, csv_cells.columns(data, block.path, line, names), strict=True):
            found[name] = int(csv_types.column_type(cells.dictionary_encode().dictionary, found[name]))
        yield found


def _highest(found: Iterable[dict[str, int]]) -> dict[str, int]:
    """The types of the columns in all blocks."""
    result: dict[str, int] = {}
    for kinds in found:
        for name, kind in kinds.items():
            result[name] = max(kind, result.get(name, kind))
    return result


def _csv_columns(
    names: list[str], block: csv_blocks.CsvBlock, kinds: dict[str, int]
) -> Iterator[list[Column]]:
    """The rows of a block."""
    for data, line in csv_blocks.read_block(block):
        columns = csv_cells.columns(data, block.path, line, names)
        last = dict(zip(names, columns, strict=True))  # of columns of one name TFX takes the last
        for start in range(0, len(columns[0]), _ROWS):
            yield [_csv_column(name, cells.slice(start, _ROWS), kinds[name]) for name, cells in last.items()]


def _csv_column(name: str, cells: pa.Array, kind: int) -> Column:
    distinct = cells.dictionary_encode()
    return Column(name, csv_types.values(distinct.dictionary, kind), distinct.indices)


def _parquet_columns(group: parquet.RowGroup, _: None) -> Iterator[list[Column]]:
    """The rows of a row group, whose file knows the types of its columns."""
    return parquet.read_row_group(group, _ROWS)


class _Encode(beam.DoFn):
    """Makes the gzip members of a block, each tagged with its split."""

    def __init__(self, read: Any, splits: Splits):
        self._read, self._splits = read, splits
        # The counter of TFX's MaybeSerialize (tfx/components/example_gen/write_split.py).
        self._rows = beam.metrics.Metrics.counter(write_split.METRICS_NAMESPACE, "num_instances")

    def process(self, block: Any, kinds: Any = None) -> Iterator[TaggedOutput]:
        """Called by Beam."""
        # zlib works without Python's lock: the next rows are encoded meanwhile.
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            waiting: list[tuple[str, concurrent.futures.Future[bytes]]] = []
            for columns in self._read(block, kinds):
                done, waiting = waiting, []
                examples = encode(columns)
                self._rows.inc(len(examples))
                numbers = self._splits.of(examples, columns, block.path)
                for number, name in enumerate(self._splits.names):
                    chosen = [examples[row] for row in np.flatnonzero(numbers == number)]
                    if chosen:
                        waiting.append((name, pool.submit(shards.compressed, shards.tfrecords(chosen))))
                yield from (TaggedOutput(name, member.result()) for name, member in done)
            yield from (TaggedOutput(name, member.result()) for name, member in waiting)
