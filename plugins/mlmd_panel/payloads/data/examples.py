"""Reads Examples: the files and records of each split, and the first rows."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from mlmd_panel.errors import PayloadError
from mlmd_panel.files import tfrecord
from mlmd_panel.files.allowed import Entry, Files
from mlmd_panel.payloads.data import example_rows, splits
from mlmd_panel.payloads.part import WHOLE, Part
from mlmd_panel.store.records import Artifact

MAX_ROWS = 10
# Of all splits together: what counting may cost.
MAX_RECORDS = 200_000
MAX_BYTES = 48 << 20
DEFAULT_FORMAT = "FORMAT_TF_EXAMPLE"  # what TFX takes an artifact for that does not say
_ENDS = {
    "avro": "Avro",
    "csv": "CSV",
    "feather": "Feather",
    "json": "JSON",
    "jsonl": "JSON",
    "orc": "ORC",
    "parquet": "Parquet",
    "tsv": "CSV",
    "txt": "text",
    "zip": "zip",
}
_Counted = tuple[int | None, bool, tuple[dict[str, Any], ...], str]


@dataclasses.dataclass(frozen=True)
class Split:
    """A split.

    Attributes:
      name: Its name; "" when the artifact has no splits.
      files: Number of files.
      bytes: Size of all files, as they are stored.
      records: Number of records; None when they could not be counted.
      truncated: There are more records: counting stopped.
      rows: The first records, each {feature: value, list of values, or None where it is missing}; bytes that are no
        text as `N bytes: <hexadecimal>`, what is long ends in `…`. Empty of other payload formats.
      problem: Why its records are not counted or not shown, or empty.
    """

    name: str
    files: int
    bytes: int
    records: int | None
    truncated: bool
    rows: tuple[dict[str, Any], ...]
    problem: str = ""


@dataclasses.dataclass(frozen=True)
class ExamplesPayload:
    """Examples.

    Attributes:
      format: Payload format, such as FORMAT_TF_EXAMPLE, FORMAT_TF_SEQUENCE_EXAMPLE, FORMAT_PROTO, FORMAT_PARQUET.
      file_format: Such as `tfrecords_gzip`; empty when the artifact does not say.
      span: Number, or None.
      version: Number, or None.
      splits: In the order of the artifact's `split_names`.
      split_count: Number of all splits.
      part: What the address chose of it.
      listing: All files, by name.
      cut: Splits or files were left out.
    """

    format: str
    file_format: str
    span: int | None
    version: int | None
    splits: tuple[Split, ...]
    split_count: int
    part: Part
    listing: tuple[Entry, ...]
    cut: bool
    kind: ClassVar[str] = "examples"


def read(artifact: Artifact, files: Files, part: Part = WHOLE) -> ExamplesPayload:
    """Reads Examples, counting no longer than MAX_RECORDS and MAX_BYTES allow.

    Raises:
      PayloadGone: The files are gone.
      PayloadError: The files cannot be listed.
    """
    listing = files.list(artifact.uri, depth=2)
    found: dict[str, list[Entry]] = {name: [] for name in splits.named(artifact)}
    for entry in listing:
        folder, _, base = entry.name.rpartition("/")
        if not base.startswith((".", "_")):  # such as _SUCCESS
            found.setdefault(splits.split_of(folder), []).append(entry)
    wanted = [(name, entries) for name, entries in found.items() if part.split in ("", name)]
    kept = wanted[: splits.MAX_SPLITS]
    format_ = _text(artifact, "payload_format") or DEFAULT_FORMAT
    file_format = _text(artifact, "file_format")
    shares = max(1, sum(bool(entries) for _, entries in kept))
    made = []
    for name, entries in kept:
        entries.sort(key=lambda entry: entry.name)
        other = _other(format_, file_format, [entry.name or artifact.uri for entry in entries])
        if other:
            counted: _Counted = (None, False, (), other)
        else:
            decode = example_rows.DECODERS.get(format_)
            counted = _count(artifact, files, entries, decode, MAX_RECORDS // shares, MAX_BYTES // shares)
            if not decode and not counted[3]:
                counted = (*counted[:3], f"The panel counts {format_} records, but does not read them.")
        made.append(Split(name, len(entries), sum(entry.size for entry in entries), *counted))
    cut = listing.cut or len(wanted) > len(kept)
    return ExamplesPayload(
        format=format_,
        file_format=file_format,
        span=_number(artifact, "span"),
        version=_number(artifact, "version"),
        splits=tuple(made),
        split_count=len(found),
        part=part,
        listing=tuple(listing),
        cut=cut,
    )


def _other(format_: str, file_format: str, names: list[str]) -> str:
    """Why files in other formats than TFRecord are not read, or ""."""
    if format_ == "FORMAT_PARQUET":
        said = "Parquet"
    elif file_format and not file_format.startswith("tfrecord"):
        said = file_format
    else:
        ends = {_ENDS.get(name.removesuffix(".gz").rpartition(".")[2].lower(), "") for name in names}
        said = " and ".join(sorted(ends)) if ends and "" not in ends else ""
    return f"These are {said} files; the panel reads only TFRecord files." if said else ""


def _count(
    artifact: Artifact, files: Files, entries: list[Entry], decode: Any, max_records: int, max_bytes: int
) -> _Counted:
    count = size = 0
    found: list[dict[str, Any]] = []
    try:
        for entry in entries:
            for record in tfrecord.records(files, artifact.uri, entry.name):
                if count >= max_records or size >= max_bytes:
                    return count, True, tuple(found), ""
                if decode and len(found) < MAX_ROWS:
                    found.append(decode(record, entry.name))
                count += 1
                size += len(record)
    except PayloadError as error:
        return None, False, tuple(found), str(error)
    return count, False, tuple(found), ""


def _text(artifact: Artifact, name: str) -> str:
    value = artifact.property(name)
    return value if isinstance(value, str) else ""


def _number(artifact: Artifact, name: str) -> int | None:
    value = artifact.property(name)
    try:
        return int(value) if isinstance(value, (int, str)) else None
    except ValueError:
        return None
