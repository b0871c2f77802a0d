"""What TFX makes of a file, by its own code, without a Beam runner: milliseconds instead of seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyarrow import parquet
from tfx.components.example_gen import base_example_gen_executor, utils
from tfx.components.example_gen.csv_example_gen import executor
from tfx.proto import example_gen_pb2
from tfx.utils import io_utils
from tfx_bsl.coders import csv_decoder

Row = tuple[bytes, int]


def from_csv(path: Path, split_config: example_gen_pb2.SplitConfig) -> list[Row]:
    """The steps of TFX's `_CsvToExample` and `_PartitionFn`, row by row.

    Returns:
      The deterministic bytes of each Example, and the number of its split.
    """
    names = io_utils.load_csv_column_names(str(path))
    parse = csv_decoder.ParseCSVLine(delimiter=",")
    parse.setup()
    lines = executor._ReadCsvRecordsFromTextFile().process(str(path))
    cells = [found for line in lines for found, _ in parse.process(line)]
    inferrer = csv_decoder.ColumnTypeInferrer(names, skip_blank_lines=True)
    types = inferrer.create_accumulator()
    for row in cells:
        types = inferrer.add_input(types, row)
    make = executor._ParsedCsvToTfExample()
    infos = inferrer.extract_output(types)
    return [_row(example, split_config) for row in cells for example in make.process(row, infos)]


def from_parquet(path: Path, split_config: example_gen_pb2.SplitConfig) -> list[Row]:
    """The same of TFX's Parquet executor."""
    values = parquet.read_table(path).to_pydict()
    return [
        _row(utils.dict_to_example(dict(zip(values, row, strict=True))), split_config)
        for row in zip(*values.values(), strict=True)
    ]


def never_ending_lines_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """TFX gives the csv module the same line for ever where a quote is never closed; here the second time raises."""

    class Once(csv_decoder._MutableRepeat):
        def SetItem(self, item: str) -> None:
            self._items = iter([item])

        def __next__(self) -> str:
            for item in self._items:
                return item
            raise ValueError("TFX does not come to an end")

    monkeypatch.setattr(csv_decoder, "_MutableRepeat", Once)


def _row(example: object, split_config: example_gen_pb2.SplitConfig) -> Row:
    buckets = [0]
    for split in split_config.splits:
        buckets.append(buckets[-1] + split.hash_buckets)
    number = base_example_gen_executor._PartitionFn(example, len(buckets) - 1, buckets[1:], split_config)
    return example.SerializeToString(deterministic=True), number  # type: ignore[attr-defined]
