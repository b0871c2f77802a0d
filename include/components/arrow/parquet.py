"""Row groups of Parquet files as features: those that TFX's Parquet executor makes, and its missing values.

TFX's rule (`dict_to_example` in tfx/components/example_gen/utils.py): integers and booleans are INT, floating
point numbers FLOAT, text and bytes BYTES; lists of these as they are. What Python calls false, which is null, 0, 0.0,
False, "" and an empty list, is a feature without type. Other types are refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from pyarrow import compute, types
from pyarrow import parquet as arrow_parquet

from include.components.arrow.errors import InputFileError
from include.components.arrow.examples import Column

_MAGIC = b"PAR1"


@dataclasses.dataclass(frozen=True)
class RowGroup:
    """A row group of a file."""

    path: str
    number: int


def is_parquet(path: str) -> bool:
    """Whether a file begins and ends as Parquet does."""
    with FileSystems.open(path) as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return False
        file.seek(-len(_MAGIC), 2)
        return file.read() == _MAGIC


def find_row_groups(path: str) -> Iterator[RowGroup]:
    """The row groups of a file.

    Raises:
      InputFileError: It is damaged, or has two columns of one name.
    """
    with FileSystems.open(path) as file:
        try:
            metadata = arrow_parquet.ParquetFile(file).metadata
        except (pa.ArrowInvalid, OSError) as error:
            raise InputFileError(f"{path} is not a Parquet file that pyarrow reads: {error}") from None
        names = metadata.schema.to_arrow_schema().names
        if len(set(names)) < len(names):
            raise InputFileError(
                f"{path} has two columns of one name: {', '.join(sorted(names))}. Rename one."
            )
        yield from (RowGroup(path, number) for number in range(metadata.num_row_groups))


def read_row_group(group: RowGroup, rows: int) -> Iterator[list[Column]]:
    """Reads a row group in batches of at most so many rows.

    Raises:
      InputFileError: A column has a type or a value that has no feature.
    """
    with FileSystems.open(group.path) as file:
        batches = arrow_parquet.ParquetFile(file).iter_batches(
            rows, row_groups=[group.number], use_threads=False
        )
        for batch in batches:
            yield [
                _column(name, array, f"{group.path}, row group {group.number}")
                for name, array in zip(batch.schema.names, batch.columns, strict=True)
            ]


def _column(name: str, array: pa.Array, place: str) -> Column:
    try:
        return _feature(name, array)
    except _NoFeature as error:
        raise InputFileError(f"{place}, column {name!r}: {error}") from None


class _NoFeature(Exception):
    """Says what a feature cannot hold."""


def _feature(name: str, array: pa.Array) -> Column:
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if array.null_count == len(array):
        return Column(name, pa.nulls(len(array), pa.large_list(pa.int64())))
    if types.is_list(array.type) or types.is_large_list(array.type) or types.is_fixed_size_list(array.type):
        return Column(name, _lists(array))
    if types.is_floating(array.type):
        return Column(name, _ones(array))
    _flat(array.slice(0, 0))  # refuses what has no distinct values either, such as structs
    # Distinct values are few, as a rule.
    distinct = array.dictionary_encode()
    values = pa.concat_arrays([distinct.dictionary, pa.nulls(1, array.type)])
    return Column(name, _ones(values), distinct.indices.fill_null(len(values) - 1))


def _lists(array: pa.Array) -> pa.Array:
    lengths = compute.fill_null(compute.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    flat = array.flatten()
    if flat.null_count:
        raise _NoFeature("null within a list. Take it out, or write a value in its place.")
    return _offset(lengths, _flat(flat))


def _ones(array: pa.Array) -> pa.Array:
    """Lists of one value, null where it is missing or false."""
    flat = _flat(array)
    kept = compute.is_valid(array)
    if types.is_large_binary(flat.type):
        kept = compute.and_(kept, compute.not_equal(compute.fill_null(compute.binary_length(flat), 0), 0))
    else:  # before rounding: 1e-300 is not 0
        kept = compute.fill_null(compute.not_equal(array, pa.scalar(0).cast(array.type)), False)
    return _offset(kept.to_numpy(zero_copy_only=False).astype(np.int64), flat.filter(kept))


def _offset(lengths: np.ndarray, flat: pa.Array) -> pa.Array:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    missing = np.append(lengths == 0, False)
    return pa.LargeListArray.from_arrays(pa.array(offsets, mask=missing), flat)


def _flat(array: pa.Array) -> pa.Array:
    """The values as int64, float32 or large_binary."""
    if types.is_dictionary(array.type):
        array = array.dictionary_decode()
    kind = array.type
    if types.is_boolean(kind) or types.is_integer(kind):
        try:
            return array.cast(pa.int64())
        except pa.ArrowInvalid:
            raise _NoFeature("an integer beyond 64 bits with sign. Write it as text.") from None
    if types.is_floating(kind):
        nulls = compute.is_null(array).to_numpy(zero_copy_only=False)
        with np.errstate(over="ignore"):  # infinite, as in the proto
            return pa.array(array.to_numpy(zero_copy_only=False).astype(np.float32), mask=nulls)
    if types.is_string(kind) or types.is_large_string(kind):
        try:
            array.validate(full=True)
        except pa.ArrowInvalid as error:
            raise _NoFeature(str(error)) from None
        return array.cast(pa.large_string()).cast(pa.large_binary())
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return array.cast(pa.large_binary())
    raise _NoFeature(
        f"values of type {kind}. A feature holds integers, numbers, text, bytes or lists of these."
    )
