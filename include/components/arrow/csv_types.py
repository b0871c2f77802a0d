"""The types of CSV columns and their values: TFX's, decided by its own code wherever pyarrow might differ.

TFX's rule (`_InferValueType` and `ColumnTypeInferrer` in tfx_bsl/coders/csv_decoder.py): a cell that Python's
`int()` takes is INT, but STRING when it does not fit into 64 bits; else one that `float()` takes is FLOAT; else it is
STRING; an empty one says nothing. A column has the highest type of its cells in all files of the split:
UNKNOWN < INT < FLOAT < STRING. Columns of the same name count as one.

Values (`_int_handler` and its neighbours in tfx/components/example_gen/csv_example_gen/executor.py): `int(cell)`,
`float(cell)`, which the proto rounds to 32 bits, or the cell itself. An empty cell is a feature of its column's type
without a value; in a column of UNKNOWN type it is a feature without type.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyarrow import compute
from tfx_bsl.coders.csv_decoder import ColumnType, ColumnTypeInferrer

_INFERRER = ColumnTypeInferrer(["cell"], skip_blank_lines=True)


def column_type(cells: pa.Array, known: int = ColumnType.UNKNOWN) -> int:
    """The type of a column.

    Args:
      cells: Binary array; distinct cells are enough.
      known: What other cells of the column have; the result is not less.
    """
    cells = cells.filter(compute.not_equal(compute.binary_length(cells), 0))
    if not len(cells) or known == ColumnType.STRING:
        return known
    floats = _cast(cells, pa.float64())
    if floats is None:  # the first text ends it
        return _by_tfx(cells, known, ColumnType.STRING)
    # NaN and numbers beyond 64 bits may be text to TFX. All others are numbers to both; is one not an INT?
    values = floats.to_numpy(zero_copy_only=False)
    doubtful = ~(np.abs(values) < 2.0**63)
    if doubtful.any():
        known = _by_tfx(cells.filter(pa.array(doubtful)), known, ColumnType.STRING)
        cells = cells.filter(pa.array(~doubtful))
    if known < ColumnType.FLOAT and len(cells):
        integers = _cast(cells, pa.int64())
        # "0x1F" is an integer to pyarrow only; written again it looks different.
        if integers is not None and integers.cast(pa.string()).cast(pa.binary()).equals(cells):
            return max(known, ColumnType.INT)
        return _by_tfx(cells, known, ColumnType.FLOAT)
    return known


def values(cells: pa.Array, kind: int) -> pa.Array:
    """Turns cells into values.

    Args:
      cells: Binary array.
      kind: The column's type.

    Returns:
      Lists of one value or none; null where the feature has no type.
    """
    if kind == ColumnType.UNKNOWN:
        return pa.nulls(len(cells), pa.large_list(pa.int64()))
    filled = compute.not_equal(compute.binary_length(cells), 0)
    offsets = np.zeros(len(cells) + 1, np.int64)
    np.cumsum(filled.to_numpy(zero_copy_only=False), out=offsets[1:])
    return pa.LargeListArray.from_arrays(pa.array(offsets), _flat(cells.filter(filled), kind))


def _flat(cells: pa.Array, kind: int) -> pa.Array:
    if kind == ColumnType.STRING:
        return cells.cast(pa.large_binary())
    if kind == ColumnType.INT:
        integers = _cast(cells, pa.int64())
        return (
            pa.array([int(cell) for cell in cells.to_pylist()], pa.int64()) if integers is None else integers
        )
    floats = _cast(cells, pa.float64())
    if floats is None or compute.any(compute.is_nan(floats)).as_py():  # NaN has a sign
        doubles = np.array([float(cell) for cell in cells.to_pylist()])
    else:
        doubles = floats.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):  # infinite, as in the proto
        return pa.array(doubles.astype(np.float32))


def _by_tfx(cells: pa.Array, known: int, highest: int) -> int:
    found = {"cell": ColumnType(known)}
    for cell in cells.to_pylist():
        found = _INFERRER.add_input(found, [cell])
        if found["cell"] >= highest:
            break
    return found["cell"]


def _cast(cells: pa.Array, kind: pa.DataType) -> pa.Array | None:
    try:
        return cells.cast(pa.string()).cast(kind)
    except pa.ArrowInvalid:
        return None
