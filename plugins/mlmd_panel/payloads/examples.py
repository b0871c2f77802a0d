"""Examples: files and records of each split, and the first rows."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from mlmd_panel import tfrecord
from mlmd_panel.files import Entry, Files
from mlmd_panel.models import Artifact
from mlmd_panel.payloads import example_rows, splits

MAX_ROWS = 10
# Of all splits together: what counting may cost.
MAX_RECORDS = 200_000
MAX_BYTES = 48 << 20
DEFAULT_FORMAT = "FORMAT_TF_EXAMPLE"  # what TFX takes an artifact for that does not say


@dataclasses.dataclass(frozen=True)
class Split:
    """A split.

    Attributes:
      name: Its name; "" when the artifact has no splits.
      files: Number of files.
      bytes: Of all files, as they are stored.
      records: Number of records; None when the file format is not TFRecord.
      truncated: There are more records: counting stopped.
      rows: The first records, each {feature: value, list of values, or None where it is missing}; bytes that are no
        text as `N bytes: <hexadecimal>`, what is long ends in `…`. Empty of other payload formats.
    """

    name: str
    files: int
    bytes: int
    records: int | None
    truncated: bool
    rows: tuple[dict[str, Any], ...]


@dataclasses.dataclass(frozen=True)
class ExamplesPayload:
    """Examples.

    Attributes:
      format: Payload format, such as FORMAT_TF_EXAMPLE, FORMAT_TF_SEQUENCE_EXAMPLE, FORMAT_PROTO, FORMAT_PARQUET.
      file_format: Such as `tfrecords_gzip`; empty when the artifact does not say.
      span: Number, or None.
      version: Number, or None.
      splits: In the order of the artifact's `split_names`.
      cut: Splits or files were left out.
    """

    format: str
    file_format: str
    span: int | None
    version: int | None
    splits: tuple[Split, ...]
    cut: bool
    kind: ClassVar[str] = "examples"


def read(artifact: Artifact, files: Files) -> ExamplesPayload:
    """Reads Examples, counting no longer than MAX_RECORDS and MAX_BYTES allow.

    Raises:
      PayloadGone: The files are gone.
      PayloadError: They are broken or too large.
    """
    listing = files.list(artifact.uri, depth=2)
    found: dict[str, list[Entry]] = {name: [] for name in splits.named(artifact)}
    for entry in listing:
        folder, _, base = entry.name.rpartition("/")
        if not base.startswith((".", "_")):  # such as _SUCCESS
            found.setdefault(splits.split_of(folder), []).append(entry)
    kept = list(found.items())[: splits.MAX_SPLITS]
    format_ = _text(artifact, "payload_format") or DEFAULT_FORMAT
    file_format = _text(artifact, "file_format")
    shares = max(1, sum(bool(entries) for _, entries in kept))
    made = []
    for name, entries in kept:
        entries.sort(key=lambda entry: entry.name)
        if format_ == "FORMAT_PARQUET" or not (file_format or "tfrecord").startswith("tfrecord"):
            counted: tuple[int | None, bool, tuple[dict[str, Any], ...]] = (None, False, ())
        else:
            decode = example_rows.DECODERS.get(format_)
            counted = _count(artifact, files, entries, decode, MAX_RECORDS // shares, MAX_BYTES // shares)
        made.append(Split(name, len(entries), sum(entry.size for entry in entries), *counted))
    cut = listing.cut or len(found) > len(kept)
    return ExamplesPayload(
        format=format_,
        file_format=file_format,
        span=_number(artifact, "span"),
        version=_number(artifact, "version"),
        splits=tuple(made),
        cut=cut,
    )


def _count(
    artifact: Artifact, files: Files, entries: list[Entry], decode: Any, max_records: int, max_bytes: int
) -> tuple[int, bool, tuple[dict[str, Any], ...]]:
    count = size = 0
    found: list[dict[str, Any]] = []
    for entry in entries:
        for record in tfrecord.records(files, artifact.uri, entry.name):
            if count >= max_records or size >= max_bytes:
                return count, True, tuple(found)
            if decode and len(found) < MAX_ROWS:
                found.append(decode(record, entry.name))
            count += 1
            size += len(record)
    return count, False, tuple(found)


def _text(artifact: Artifact, name: str) -> str:
    value = artifact.property(name)
    return value if isinstance(value, str) else ""


def _number(artifact: Artifact, name: str) -> int | None:
    value = artifact.property(name)
    try:
        return int(value) if isinstance(value, (int, str)) else None
    except ValueError:
        return None
