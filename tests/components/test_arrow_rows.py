"""The rows of ArrowExampleGen, byte by byte and split by split those of TFX's own code."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet as arrow_parquet
from tfx.proto import example_gen_pb2

from include.components import arrow_example_gen
from include.components.arrow import csv_blocks, parquet
from include.components.arrow.errors import InputFileError
from include.components.arrow.examples import Column, encode
from include.components.arrow.splits import Splits
from tests.components import tfx_rows

pytestmark = pytest.mark.slow

_CONFIG = example_gen_pb2.SplitConfig(
    splits=[
        example_gen_pb2.SplitConfig.Split(name=name, hash_buckets=buckets)
        for name, buckets in (("train", 3), ("eval", 5), ("test", 1))
    ]
)


def _csv(path: Path, block_bytes: int = csv_blocks.BLOCK_BYTES, config: Any = _CONFIG) -> list[tfx_rows.Row]:
    names = csv_blocks.column_names(str(path))
    blocks = list(csv_blocks.find_blocks(str(path), block_bytes))
    kinds = arrow_example_gen._highest(
        found for block in blocks for found in arrow_example_gen._csv_types(block, names)
    )
    batches = (batch for block in blocks for batch in arrow_example_gen._csv_columns(names, block, kinds))
    return _rows(batches, config)


def _rows(batches: Any, config: Any) -> list[tfx_rows.Row]:
    splits, found = Splits.configured(config), []
    for columns in batches:
        examples = encode(columns)
        found += zip(examples, splits.of(examples, columns, "the file").tolist(), strict=True)
    return found


def _written(folder: Path, data: bytes | str) -> Path:
    path = folder / "data.csv"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


_NUMBERS = {
    "integers": "1 -1 007 +5 1_000 9223372036854775807 -9223372036854775808 -0",
    "integers beyond 64 bits are text": "1 9223372036854775808",
    "negative ones too": "1 -9223372036854775809",
    "integers beyond 64 bits among decimals are text": "1.5 12345678901234567890123",
    "hexadecimal is text": "1 0x1F",
    "decimals": "1 1.5 -0.0 1e5 .5 5. 1E400 -1e400 1e-400 3.5e38 3.4028235e38 1e-46 16777217 1_0.5",
    "not a number": "1 nan NaN -nan",
    "infinite": "inf -INF Infinity +inf 1",
    "nan with a payload is text": "nan(1) 1.5",
    "hexadecimal decimals are text": "0x1p3 1.5",
    "other digits are text": "\u0663 1",
    "words": "true NA null 1e e5 é",
    "no value": "",
}


@pytest.mark.parametrize("cells", _NUMBERS.values(), ids=_NUMBERS)
def test_types_and_values_are_those_of_tfx(tmp_path: Path, cells: str) -> None:
    lines = [f"{cell},{number},x" for number, cell in enumerate(["", *cells.split(), " 7 ", ""])]
    path = _written(tmp_path, "cell,number,text\n" + "\n".join(lines))
    found = _csv(path)
    assert found == tfx_rows.from_csv(path, _CONFIG)
    assert len(found) == len(lines)


_FILES = {
    "blank lines": "a,b\n\n1,2\n\r\n\n3,4\n\n\n",
    "blank lines of one column": 'a\n\n1\n""\n\n',
    "windows lines": 'a,b\r\n1,"x\r\ny"\r\n2,z\r\n',
    "quoted commas, quotes and line feeds": 'a,b\n1,"x,""y""\n\n"\n"2","z"\n',
    "quotes within a cell": 'a,b\n5" pipe,6" pipe\n"x"y,z\n',
    "no line feed at the end": "a,b\n1,2",
    "header alone": "a,b\n",
    "header without line feed": "a,b",
    "quoted names": '"a",b\n1,2\n',
    "names with spaces": " a, b \n1,2\n",
    "a name twice": "a,a\n1,x\n2,\n",
    "two names without text": ",\n1,2\n",
    "unicode": "é,Z,z,a\nä,ö,ü,\u2028\n",
    "a long cell": "a,b\n1," + 50_000 * "xy" + "\n",
    "many rows": "a,b,c\n" + "".join(f"{n},{n / 7},{n % 10}\n" for n in range(2000)),
}


@pytest.mark.parametrize("block_bytes", [1, 1000, csv_blocks.BLOCK_BYTES])
@pytest.mark.parametrize("data", _FILES.values(), ids=_FILES)
def test_records_are_those_of_tfx_wherever_blocks_end(tmp_path: Path, data: str, block_bytes: int) -> None:
    block_bytes = max(block_bytes, len(data) // 100)
    path = _written(tmp_path, data)
    assert _csv(path, block_bytes) == tfx_rows.from_csv(path, _CONFIG)


_REFUSED = {
    "too few cells": (b"a,b\n1,2\n3\n", "line 3 has 1 cells, the header 2: '3"),
    "too many cells": (b'a,b\n"1\n",2\n3,4,5\n', "line 4 has 3 cells, the header 2: '3,4,5"),
    "not UTF-8": (b"a,b\n1,2\n3,caf\xe9\n", "line 3 is not UTF-8: byte 0xe9.*iconv"),
    "a header that is not UTF-8": (b"caf\xe9,b\n1,2\n", "line 1 is not UTF-8"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), "line 1 is not UTF-8"),
    "an open quote": (b'a,b\n1,"2\n3,4\n', "odd number of quotes: the last one, in line 2"),
    "a quote that opens twice": (
        b'a,b\n1,2\n3" ,"x\n',
        "line 3 is not CSV: a cell's quotes are never closed",
    ),
    "carriage returns": (b"a,b\n1,2\n3,4\r5,6\n", "line 3 is not CSV: new-line character"),
    "lines of an old Mac": (b"a,b\r1,2\r", "line 1 has a carriage return"),
    "nothing": (b"", "is empty. A CSV file begins with a line of column names"),
    "a blank header": (b"\n1\n", "line 1 is blank"),
    "a comma in a name": (b'"a,b",c\n1,2\n', "line 1: a column name has a comma"),
    "a line feed in a name": (b'a,"b\nc"\n1,2\n', "line 1: a column name has a comma or a line break"),
}


@pytest.mark.parametrize("block_bytes", [1, csv_blocks.BLOCK_BYTES])
@pytest.mark.parametrize(("data", "message"), _REFUSED.values(), ids=_REFUSED)
def test_what_is_not_csv_is_refused_with_file_and_line(
    tmp_path: Path, data: bytes, message: str, block_bytes: int
) -> None:
    with pytest.raises(InputFileError, match=f"data.csv.*{message}"):
        _csv(_written(tmp_path, data), block_bytes)


def test_quote_that_swallows_the_file_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_blocks, "_MAX_RECORD_BYTES", 1 << 20)
    path = _written(tmp_path, 'a,b\n1,2\n3,"x\n' + 400_000 * "4,5\n" + '6,"y\n')
    with pytest.raises(InputFileError, match="data.csv, line 3: a record of more than 1 MiB"):
        _csv(path, 1 << 16)


def test_random_files_are_read_as_tfx_reads_them_or_refused_where_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tfx_rows.never_ending_lines_are_errors(monkeypatch)
    random_ = random.Random(20)
    pieces = ["a", ",", '"', "\n", "1", '""', '\n","', ",\r\n", " ", "x,y\n", '"q",1\n', "\r", "é", "1.5,\n"]
    outcomes = Counter()
    for _ in range(600):
        data = "a,b\n" + "".join(random_.choices(pieces, k=random_.randrange(12)))
        path = _written(tmp_path, data)
        try:
            found = _csv(path, random_.choice([1, 8, 1000]))
        except InputFileError:
            with pytest.raises(Exception):  # noqa: B017 - TFX has many
                tfx_rows.from_csv(path, _CONFIG)
            outcomes["refused"] += 1
        else:
            assert found == tfx_rows.from_csv(path, _CONFIG), data
            outcomes["read"] += 1
    assert min(outcomes["read"], outcomes["refused"]) > 100, outcomes


def test_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = _written(tmp_path, b"\xef\xbb\xbfa,b\n1,2\n")
    found = _csv(path)
    assert csv_blocks.column_names(str(path)) == ["a", "b"]
    assert found == tfx_rows.from_csv(_written(tmp_path, "a,b\n1,2\n"), _CONFIG)


@pytest.mark.parametrize("feature", ["number", "text"])
def test_partition_feature_decides_the_split(tmp_path: Path, feature: str) -> None:
    config = example_gen_pb2.SplitConfig(splits=_CONFIG.splits, partition_feature_name=feature)
    path = _written(tmp_path, "number,text\n" + "".join(f"{n % 50 or ''},{n % 70}x\n" for n in range(300)))
    found = _csv(path, config=config)
    assert found == tfx_rows.from_csv(path, config)
    assert len({number for _, number in found}) == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fare", "no column 'fare'.* it has: "),
        ("decimal", "numbers with a fraction"),
        ("none", "without a value"),
    ],
)
def test_partition_feature_that_cannot_be_hashed_is_refused(tmp_path: Path, name: str, message: str) -> None:
    config = example_gen_pb2.SplitConfig(splits=_CONFIG.splits, partition_feature_name=name)
    path = _written(tmp_path, "decimal,none\n1.5,\n")
    with pytest.raises(InputFileError, match=message):
        _csv(path, config=config)
    with pytest.raises(RuntimeError):
        tfx_rows.from_csv(path, config)


def _parquet(path: Path, rows: int = 1 << 14, config: Any = _CONFIG) -> list[tfx_rows.Row]:
    groups = parquet.find_row_groups(str(path))
    return _rows((batch for group in groups for batch in parquet.read_row_group(group, rows)), config)


_COLUMNS = {
    "int64": pa.array([1, 0, None, -(2**63), 2**63 - 1, 1]),
    "uint8": pa.array([1, 0, None, 255, 1, 1], pa.uint8()),
    "bool": pa.array([True, False, None, True, True, False]),
    "double": pa.array([1.5, 0.0, None, -0.0, 1e-300, 1e300]),
    "nan": pa.array([float("nan"), float("-nan"), float("inf"), 3.4028235e38, 1e-46, 0.1]),
    "float": pa.array([1.5, 0.0, None, 3.0, 4.0, 0.1], pa.float32()),
    "half": pa.array([1.5, 0.0, None, 3.0, 4.0, 0.1]).cast(pa.float32()),
    "text": pa.array(["x", "", None, "é", "x", "y"]),
    "bytes": pa.array([b"x", b"", None, b"\xc3\xa9", b"x", b"y"]),
    "dictionary": pa.array(["x", "", None, "é", "x", "y"]).dictionary_encode(),
    "large text": pa.array(["x", "", None, "é", "x", "y"], pa.large_string()),
    "lists of integers": pa.array([[1, 2], [], None, [0], [0, 0, 3], [7]]),
    "lists of decimals": pa.array([[1.5, 2], [], None, [0.0], [1e300], [7]]),
    "lists of text": pa.array([["a", ""], [], None, [""], ["é"], ["b"]]),
    "lists of booleans": pa.array([[True, False], [], None, [False], [True], [True]]),
    "pairs": pa.array([[1, 2], [0, 0], [9, 9], [3, 4], [5, 6], [7, 8]], pa.list_(pa.int32(), 2)),
    "null": pa.nulls(6),
    "times that are missing": pa.nulls(6, pa.timestamp("us")),
}


@pytest.mark.parametrize("column", _COLUMNS.values(), ids=_COLUMNS)
def test_parquet_columns_are_those_of_tfx(tmp_path: Path, column: pa.Array) -> None:
    path = tmp_path / "data.parquet"
    table = pa.table({"number": pa.array(range(1, 7)), "column": column, "É": pa.array(list("abcdef"))})
    arrow_parquet.write_table(table, path, row_group_size=4)
    assert _parquet(path, 3) == tfx_rows.from_parquet(path, _CONFIG)


_NO_FEATURES = {
    "times": (pa.array([1], pa.timestamp("us")), "values of type timestamp"),
    "structs": (pa.array([{"a": 1}]), "values of type struct"),
    "lists of lists": (pa.array([[[1]]]), "values of type list"),
    "null in a list": (pa.array([[1, None]]), "null within a list"),
    "an integer of 65 bits": (pa.array([2**64 - 1], pa.uint64()), "beyond 64 bits"),
}


@pytest.mark.parametrize(("column", "message"), _NO_FEATURES.values(), ids=_NO_FEATURES)
def test_parquet_value_without_feature_is_refused_with_its_column(
    tmp_path: Path, column: pa.Array, message: str
) -> None:
    path = tmp_path / "data.parquet"
    arrow_parquet.write_table(pa.table({"when": column}), path)
    with pytest.raises(InputFileError, match=f"data.parquet, row group 0, column 'when': .*{message}"):
        _parquet(path)
    with pytest.raises(Exception):  # noqa: B017 - TFX has many
        tfx_rows.from_parquet(path, _CONFIG)


_FILLED = {
    "integers": pa.array([n % 50 + 1 for n in range(300)]),
    "text": pa.array([f"{n % 70}x" for n in range(300)]),
    "dictionary": pa.array([f"{n % 70}x" for n in range(300)]).dictionary_encode(),
    "lists": pa.array([[n % 7, n % 5] for n in range(300)]),
}


@pytest.mark.parametrize("column", _FILLED.values(), ids=_FILLED)
def test_partition_feature_of_parquet_decides_the_split(tmp_path: Path, column: pa.Array) -> None:
    config = example_gen_pb2.SplitConfig(splits=_CONFIG.splits, partition_feature_name="column")
    path = tmp_path / "data.parquet"
    table = pa.table({"number": pa.array(range(1, 301)), "column": column})
    arrow_parquet.write_table(table, path, row_group_size=128)
    found = _parquet(path, 100, config)
    assert found == tfx_rows.from_parquet(path, config)
    assert len({number for _, number in found}) == 3


@pytest.mark.parametrize("missing", [None, "", 0, False])
def test_partition_feature_of_parquet_that_a_row_lacks_is_refused(tmp_path: Path, missing: Any) -> None:
    config = example_gen_pb2.SplitConfig(splits=_CONFIG.splits, partition_feature_name="column")
    path = tmp_path / "data.parquet"
    filled = ["x", "y"] if missing in (None, "") else [type(missing)(1)] * 2
    arrow_parquet.write_table(pa.table({"column": [*filled, missing]}), path)
    with pytest.raises(InputFileError, match="'column'.* has rows without a value"):
        _parquet(path, config=config)
    with pytest.raises(RuntimeError):
        tfx_rows.from_parquet(path, config)


def test_parts_of_any_length_join_to_examples() -> None:
    from tests.components.example_gens import deterministic

    for length in [*range(95, 140), *range(16_340, 16_390), 2_097_140]:
        column = Column("a", pa.array([[length * b"x"]], pa.large_list(pa.large_binary())))
        [example] = encode([column, Column("b", pa.array([[1]], pa.large_list(pa.int64())))])
        assert example == deterministic(example)
