"""The ingest job on real files: spans, versions, completion markers, bad rows, counters."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from include.taxi import ingest
from include.taxi.trips import COLUMNS
from tests.components.patched_beam import patched_beam

pytestmark = pytest.mark.slow

JANUARY, FEBRUARY = 1389000000, 1392000000  # 2014-01-06 and 2014-02-10
TRIP = {
    "fare": "12.5",
    "tips": "3",
    "trip_miles": "1.0",
    "trip_seconds": "300",
    "trip_start_timestamp": str(JANUARY),
    "payment_type": "Cash",
    "company": 'Top "Cab", Inc.',
}


def _trip(**values: Any) -> dict[str, str]:
    return {
        **dict.fromkeys(COLUMNS, ""),
        **TRIP,
        **{name: str(value) for name, value in values.items()},
    }


def _write(path: Path, *trips: dict[str, str]) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(trips)
    return path


def _run(root: Path, raw: Path | str, delivery: str = "first", *options: str, shards: int = 1) -> list[str]:
    with patched_beam():
        pipeline = beam.Pipeline(options=PipelineOptions(["--direct_running_mode=in_memory", *options]))
        ingest.partition(pipeline, str(raw), str(root), delivery, shards)
        result = pipeline.run()
        result.wait_until_finish()
    return [" ".join(line.split()) for line in ingest.counters(result)]


def _files(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()
    }


def _rows(root: Path, version: str) -> list[dict[str, str]]:
    [path] = (root / version).glob("trips-*.csv")
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def _bad(root: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for path in root.glob("bad_rows/v0/rows-*") for line in path.read_text().splitlines()
    ]


def test_trips_go_to_the_span_of_their_month_with_a_completion_marker(tmp_path: Path) -> None:
    raw = _write(
        tmp_path / "raw.csv", _trip(), _trip(trip_start_timestamp=FEBRUARY), _trip(fare=7, company="A")
    )
    counters = _run(tmp_path / "taxi", raw)
    spans = tmp_path / "taxi" / "spans"
    assert sorted(path.name for path in spans.iterdir()) == ["201401", "201402"]
    january = _rows(spans, "201401/v0")
    assert sorted(row["fare"] for row in january) == ["12.5", "7.0"]
    assert {row["company"] for row in january} == {'Top "Cab", Inc.', "A"}
    assert list(january[0]) == list(COLUMNS)
    marker = json.loads((spans / "201401/v0/_SUCCESS").read_text())
    assert marker["rows"] == 2 and marker["delivery"] == "first" and marker["version"] == 0
    assert marker["files"] == ["trips-00000-of-00001.csv"]
    assert counters == ["2 folders written", "3 rows read"]
    assert not (tmp_path / "taxi" / "bad_rows").exists()


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    trips = [
        _trip(fare=fare, trip_start_timestamp=when) for fare in range(20) for when in (JANUARY, FEBRUARY)
    ]
    root = tmp_path / "taxi"
    _run(root, _write(tmp_path / "raw.csv", *trips, _trip(fare="free")))
    before = {name: (root / name).stat().st_mtime_ns for name in _files(root)}
    # The same rows in another order, in two files.
    _write(tmp_path / "more-1.csv", *trips[20:][::-1], _trip(fare="free"))
    _write(tmp_path / "more-2.csv", *trips[:20])
    (tmp_path / "raw.csv").rename(tmp_path / "more-0.old")
    counters = _run(root, tmp_path / "more-*.csv", "second")
    spans = {name: time for name, time in before.items() if name.startswith("spans")}
    after = {name: (root / name).stat().st_mtime_ns for name in _files(root) if name.startswith("spans")}
    assert spans == after and len(after) == 4
    assert "2 folders unchanged" in counters


def test_a_month_that_is_delivered_again_gets_a_new_version(tmp_path: Path) -> None:
    root = tmp_path / "taxi"
    _run(root, _write(tmp_path / "raw.csv", _trip(), _trip(trip_start_timestamp=FEBRUARY)))
    _run(root, _write(tmp_path / "raw.csv", _trip(), _trip(trip_start_timestamp=FEBRUARY, tips=9)), "again")
    spans = root / "spans"
    assert sorted(str(p.parent.relative_to(spans)) for p in spans.glob("*/*/_SUCCESS")) == [
        "201401/v0",
        "201402/v0",
        "201402/v1",
    ]
    assert _rows(spans, "201402/v0")[0]["tips"] == "3.0"
    assert _rows(spans, "201402/v1")[0]["tips"] == "9.0"


def test_a_version_that_a_job_did_not_finish_is_followed_by_a_whole_one(tmp_path: Path) -> None:
    root = tmp_path / "taxi"
    raw = _write(tmp_path / "raw.csv", _trip())
    _run(root, raw)
    half = root / "spans/201401/v1"
    half.mkdir()
    (half / "trips-00000-of-00002.csv").write_text("fare\n")
    _run(root, raw, "again")
    assert (root / "spans/201401/v2/_SUCCESS").exists()
    assert not (half / "_SUCCESS").exists()


def test_a_marker_of_another_program_says_nothing_of_its_rows(tmp_path: Path) -> None:
    root = tmp_path / "taxi"
    raw = _write(tmp_path / "raw.csv", _trip())
    _run(root, raw)
    (root / "spans/201401/v0/_SUCCESS").write_text("")
    _run(root, raw, "again")
    assert json.loads((root / "spans/201401/v1/_SUCCESS").read_text())["delivery"] == "again"


def test_a_version_that_lost_rows_is_never_complete(tmp_path: Path) -> None:
    version = ingest.Delivery("spans/201401", 0, 3, "0", "first")
    with pytest.raises(RuntimeError, match="spans/201401/v0' has 2 of 3 rows"):
        ingest._write_marker(str(tmp_path), version, [("trips-00000-of-00001.csv", 2)])
    # A file that Beam wrote twice counts once.
    files = [("trips-00000-of-00002.csv", 2), ("trips-00001-of-00002.csv", 1)] * 2
    ingest._write_marker(str(tmp_path), version, files)
    assert len(json.loads((tmp_path / "spans/201401/v0/_SUCCESS").read_text())["files"]) == 2


def test_a_month_is_spread_over_files_and_a_row_always_goes_into_the_same(tmp_path: Path) -> None:
    trips = [_trip(fare=fare) for fare in range(40)]
    for root, rows in (("one", trips), ("two", trips[::-1])):
        _run(tmp_path / root, _write(tmp_path / f"{root}.csv", *rows), shards=3)
    found = {
        root: {
            name: sorted(text.splitlines())
            for name, text in _files(tmp_path / root).items()
            if ".csv" in name
        }
        for root in ("one", "two")
    }
    assert list(found["one"]) == [f"spans/201401/v0/trips-0000{n}-of-00003.csv" for n in range(3)]
    assert found["one"] == found["two"]
    assert sum(len(lines) - 1 for lines in found["one"].values()) == 40


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"trip_start_timestamp": ""}, "trip_start_timestamp: missing"),
        ({"tips": ""}, "tips: missing"),
        ({"fare": "free"}, "fare: not a number"),
        ({"fare": "nan"}, "fare: not a number"),
        ({"fare": "1_0"}, "fare: not a number"),
        ({"fare": "-1"}, "fare: negative"),
        ({"trip_seconds": "1.5"}, "trip_seconds: not a whole number"),
        ({"trip_start_timestamp": "1e30"}, "trip_start_timestamp: not a time from 2010 to 2099"),
        ({"trip_start_timestamp": "5"}, "trip_start_timestamp: not a time from 2010 to 2099"),
        ({"company": "a\nb"}, "company: a line break"),
    ],
)
def test_a_bad_row_goes_to_the_dead_letter_file_with_its_reason(
    tmp_path: Path, values: dict[str, str], reason: str
) -> None:
    raw = _write(tmp_path / "raw.csv", _trip(), _trip(**values))
    counters = _run(tmp_path / "taxi", raw)
    [bad] = _bad(tmp_path / "taxi")
    assert bad["reason"] == reason
    assert bad["file"] == str(raw)
    assert bad["line"] >= 3
    assert f"1 bad rows: {reason}" in counters
    assert len(_rows(tmp_path / "taxi", "spans/201401/v0")) == 1


def test_ragged_and_undecodable_rows_are_bad_rows_too(tmp_path: Path) -> None:
    raw = _write(tmp_path / "raw.csv", _trip())
    values = list(_trip(company="Caf").values())
    with open(raw, "ab") as file:
        file.write(b"1,2\n\n" + ",".join(values).encode().replace(b"Caf", b"Caf\xe9") + b"\n")
    _run(tmp_path / "taxi", raw)
    assert sorted(bad["reason"] for bad in _bad(tmp_path / "taxi")) == [
        "2 values for 18 columns",
        "not UTF-8",
    ]


def test_numbers_are_written_in_one_way_so_that_a_column_has_one_type_in_every_month(tmp_path: Path) -> None:
    raw = _write(tmp_path / "raw.csv", _trip(fare=12, trip_seconds="300.0", pickup_latitude="-41"))
    _run(tmp_path / "taxi", raw)
    [row] = _rows(tmp_path / "taxi", "spans/201401/v0")
    assert (row["fare"], row["trip_seconds"], row["pickup_latitude"]) == ("12.0", "300", "-41.0")
    assert row["dropoff_census_tract"] == ""


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    raw = _write(tmp_path / "raw.csv", _trip(pickup_community_area=8))
    raw.write_bytes(b"\xef\xbb\xbf" + raw.read_bytes())
    assert _run(tmp_path / "taxi", raw) == ["1 folders written", "1 rows read"]


def test_a_file_without_the_columns_fails_the_job_and_names_them(tmp_path: Path) -> None:
    raw = tmp_path / "raw.csv"
    raw.write_text("fare,tips\n1,2\n")
    with pytest.raises(Exception, match="has no columns .*'company'.* in its first line"):
        _run(tmp_path / "taxi", raw)
    assert not list((tmp_path / "taxi").rglob("_SUCCESS"))


def test_a_pattern_without_files_fails_the_job(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="Empty match for pattern .*nothing-"):
        _run(tmp_path / "taxi", tmp_path / "nothing-*.csv")


def test_the_job_does_the_same_in_several_processes(tmp_path: Path) -> None:
    trips = [_trip(fare=fare, trip_start_timestamp=JANUARY + 86400 * fare) for fare in range(60)]
    raw = _write(tmp_path / "raw.csv", *trips)
    _run(tmp_path / "one", raw)
    _run(tmp_path / "two", raw, "first", "--direct_running_mode=multi_processing", "--direct_num_workers=2")
    markers = [
        {name: json.loads(text)["fingerprint"] for name, text in _files(root).items() if "_SUCCESS" in name}
        for root in (tmp_path / "one", tmp_path / "two")
    ]
    assert markers[0] == markers[1] and len(markers[0]) >= 2


def test_the_sample_has_no_bad_rows_and_four_years_of_months(tmp_path: Path) -> None:
    from include.taxi.sample import sample_data_root

    counters = _run(tmp_path / "taxi", f"{sample_data_root()}/data.csv")
    assert counters == ["48 folders written", "15,002 rows read"]
