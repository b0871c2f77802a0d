"""`python -m include.taxi.ingest`: a Beam job that sorts raw trips by month into spans.

    <root>/spans/<YYYYMM>/v<n>/trips-00000-of-00001.csv   rows of one month, header first
    <root>/spans/<YYYYMM>/v<n>/_SUCCESS                   completion marker, JSON, written last
    <root>/bad_rows/v<n>/rows-00000-of-00001.jsonl        rows that were left out, each with the reason

A month whose rows equal those of its newest complete version is left unchanged; different rows, or a version
that a job did not finish, lead to a new version. So a second run of the same job changes nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import dataclasses
import hashlib
import io
import json
import re
import sys
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io import fileio
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions

from include.taxi.sample import sample_data_root
from include.taxi.trips import COLUMNS, BadRowError, cleaned, csv_line, month_of, records
from include.tfx_airflow.contract.spans import MARKER
from include.tfx_airflow.tfx_side.input_files import below

NAMESPACE = "taxi_ingest"
BAD_ROWS = "bad_rows"


class ReadTrips(beam.DoFn):
    """Reads one CSV file; yields (folder below the root, line to write)."""

    def process(self, file: fileio.ReadableFile) -> Iterator[tuple[str, str]]:
        """Yields every row, either below `spans` or below `bad_rows`.

        Raises:
            ValueError: The file lacks columns: nothing in it can be used.
        """
        name = file.metadata.path
        with file.open() as binary:
            # A spreadsheet writes a byte order mark first.
            lines = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
            reader = csv.reader(lines)
            header = next(reader, [])
            missing = sorted(set(COLUMNS) - set(header))
            if missing:
                raise ValueError(f"{name!r} has no columns {missing} in its first line {header!r}.")
            for number, values, error in records(reader):
                yield self._place(name, number, header, values, error)

    def _place(
        self, name: str, number: int, header: list[str], values: list[str], error: str
    ) -> tuple[str, str]:
        Metrics.counter(NAMESPACE, "rows read").inc()
        try:
            if error or len(values) != len(header):
                raise BadRowError(error or f"{len(values)} values for {len(header)} columns")
            named = dict(zip(header, values, strict=True))
            row = cleaned({column: named[column].strip() for column in COLUMNS})
        except BadRowError as bad:
            reason = str(bad)
            Metrics.counter(NAMESPACE, f"bad rows: {reason}").inc()
            text = [value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for value in values]
            record = {"reason": reason, "file": name, "line": number, "values": text}
            return BAD_ROWS, json.dumps(record, sort_keys=True, ensure_ascii=False)
        return f"spans/{month_of(row)}", csv_line(row.values())


def _hash(line: str) -> int:
    return int.from_bytes(hashlib.blake2b(line.encode(), digest_size=16).digest(), "big")


class Fingerprint(beam.CombineFn):
    """Number of lines and a hash that does not depend on their order: the sum of 128-bit hashes."""

    def create_accumulator(self) -> tuple[int, int]:
        """Nothing yet."""
        return 0, 0

    def add_input(self, accumulator: tuple[int, int], line: str) -> tuple[int, int]:
        """Adds one line."""
        return self.merge_accumulators([accumulator, (1, _hash(line))])

    def merge_accumulators(self, accumulators: Iterable[tuple[int, int]]) -> tuple[int, int]:
        """Adds up."""
        rows, total = 0, 0
        for more, value in accumulators:
            rows, total = rows + more, (total + value) % 2**128
        return rows, total

    def extract_output(self, accumulator: tuple[int, int]) -> tuple[int, str]:
        """Rows, and the hash as text."""
        return accumulator[0], f"{accumulator[1]:032x}"


@dataclasses.dataclass(frozen=True)
class Delivery:
    """One version of a folder; `delivery` names the job that made it."""

    folder: str
    version: int
    rows: int
    fingerprint: str
    delivery: str

    @property
    def path(self) -> str:
        """Folder of the version, below the root."""
        return f"{self.folder}/v{self.version}"


def new_version(root: str, folder: str, rows: int, fingerprint: str, delivery: str) -> Delivery | None:
    """Returns the version to write, or None when the newest one holds the same rows."""
    [match] = FileSystems.match([FileSystems.join(root, folder, "*", "*")])
    markers, newest = {}, -1
    for metadata in match.metadata_list:
        found = re.search(r"/v(\d+)/([^/]+)$", metadata.path)
        if found:
            newest = max(newest, int(found[1]))
            if found[2] == MARKER:
                markers[int(found[1])] = metadata.path
    if newest in markers and _fingerprint(markers[newest]) == fingerprint:
        Metrics.counter(NAMESPACE, "folders unchanged").inc()
        return None
    return Delivery(folder, newest + 1, rows, fingerprint, delivery)


def _fingerprint(marker: str) -> str:
    with FileSystems.open(marker) as file:
        try:
            return json.loads(file.read())["fingerprint"]
        except (ValueError, KeyError, TypeError):
            return ""  # another program's marker: its rows are unknown


def _write(root: str, path: str, lines: Iterable[str]) -> int:
    """Writes a file completely or not at all; returns the number of lines.

    Beam may run a step twice, even at the same time; the last one wins, and has the same lines.
    """
    unfinished = FileSystems.join(root, "unfinished", uuid.uuid4().hex)
    number = 0
    with FileSystems.create(unfinished) as file:
        for line in lines:
            file.write(line.encode() + b"\n")
            number += 1
    final = FileSystems.join(root, path)
    with contextlib.suppress(OSError):  # it exists
        FileSystems.mkdirs(final.rpartition("/")[0])
    FileSystems.rename([unfinished], [final])
    return number


def _shard(row: tuple[str, str], versions: dict[str, Delivery], shards: int) -> Iterator[Any]:
    """Yields ((path of a file, whether it has a header), line) for a row of a folder that has changed."""
    folder, line = row
    if folder in versions:
        # Equal lines go into one file and a line always into the same: a repeated step changes nothing.
        number = f"{_hash(line) % shards:05d}-of-{shards:05d}"
        name = f"rows-{number}.jsonl" if folder == BAD_ROWS else f"trips-{number}.csv"
        yield f"{versions[folder].path}/{name}", line


def _write_shard(root: str, path: str, lines: Iterable[str]) -> tuple[str, tuple[str, int]]:
    """Writes one file; returns the folder of its version, and its name and rows."""
    folder, _, name = path.rpartition("/")
    header = [] if name.startswith("rows-") else [csv_line(COLUMNS)]
    written = _write(root, path, (line for part in (header, lines) for line in part))
    return folder, (name, written - len(header))


def _write_marker(root: str, delivery: Delivery, files: Iterable[tuple[str, int]]) -> Delivery:
    """Marks the version complete: readers ignore one without this marker.

    Raises:
        RuntimeError: It is not complete: rows were lost, or the raw files changed while they were read.
    """
    rows = {name: number for name, number in files}
    if sum(rows.values()) != delivery.rows:
        path = FileSystems.join(root, delivery.path)
        raise RuntimeError(f"{path!r} has {sum(rows.values())} of {delivery.rows} rows; run the job again.")
    marker = {**dataclasses.asdict(delivery), "files": sorted(rows)}
    _write(root, f"{delivery.path}/{MARKER}", [json.dumps(marker, sort_keys=True)])
    Metrics.counter(NAMESPACE, "folders written").inc()
    return delivery


def partition(
    pipeline: beam.Pipeline, raw: str, root: str, delivery: str, shards: int = 1
) -> beam.PCollection[Delivery]:
    """Adds the job's transforms to a pipeline.

    Args:
        pipeline: Any Beam pipeline.
        raw: File pattern of the raw trips, CSV with a header line.
        root: Folder of spans and bad rows.
        delivery: Name of this job, recorded in each version that it writes.
        shards: Files per month, at most.

    Returns:
        The versions that were written.
    """
    rows = (
        pipeline
        | "Match" >> fileio.MatchFiles(raw, fileio.EmptyMatchTreatment.DISALLOW)
        | "Open" >> fileio.ReadMatches()
        | "Read" >> beam.ParDo(ReadTrips())
    )
    # Known before anything is written: a month that has not changed is not written again.
    versions = (
        rows
        | "Fingerprint" >> beam.CombinePerKey(Fingerprint())
        | "Version"
        >> beam.MapTuple(lambda folder, found: new_version(root, folder, found[0], found[1], delivery))
        | "Changed" >> beam.Filter(bool)
        # Fixes the chosen versions: once the first file is written, a repeated step would choose others.
        | "Fix" >> beam.Reshuffle()
    )
    by_folder = beam.pvalue.AsDict(versions | "ByFolder" >> beam.Map(lambda found: (found.folder, found)))
    files = (
        rows
        | "Shard" >> beam.FlatMap(_shard, by_folder, shards)
        | "ByFile" >> beam.GroupByKey()
        | "Write" >> beam.MapTuple(lambda path, lines: _write_shard(root, path, lines))
    )
    return (
        {"version": versions | "ByPath" >> beam.Map(lambda found: (found.path, found)), "files": files}
        | "Join" >> beam.CoGroupByKey()
        | "Mark" >> beam.MapTuple(lambda _, found: _write_marker(root, found["version"][0], found["files"]))
    )


def counters(result: Any) -> list[str]:
    """Returns the job's Beam counters as lines of text."""
    found = result.metrics().query(MetricsFilter().with_namespace(NAMESPACE))["counters"]
    values = {counter.key.metric.name: counter.result for counter in found}
    return [f"{values[name]:>10,}  {name}" for name in sorted(values)]


def main(arguments: list[str] | None = None) -> int:
    """Runs the job; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m include.taxi.ingest", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--raw_folder", help="folder of the raw trips")
    parser.add_argument("--raw", help="file pattern below it; empty for the trips in the tfx package")
    parser.add_argument("--root", required=True, help="folder of spans and bad rows")
    parser.add_argument("--delivery", required=True, help="name of this job, recorded in what it writes")
    parser.add_argument("--shards", type=int, default=1, help="files per month, at most")
    known, beam_arguments = parser.parse_known_args(arguments)
    try:
        raw = below(known.raw_folder or "", known.raw) if known.raw else f"{sample_data_root()}/data.csv"
    except ValueError as error:
        parser.error(str(error))
    pipeline = beam.Pipeline(options=PipelineOptions(beam_arguments))
    partition(pipeline, raw, known.root, known.delivery, known.shards)
    result = pipeline.run()
    result.wait_until_finish()
    print(f"Beam counters of {raw!r}, in {known.root!r}:", *counters(result), sep="\n", flush=True)
    return 0


if __name__ == "__main__":
    from include.taxi import ingest  # by its name, under which Beam's workers find its functions too

    sys.exit(ingest.main())
