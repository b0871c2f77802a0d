"""Reads TransformGraphs: the schemas before and after, and the vocabularies."""

from __future__ import annotations

import dataclasses
import json
from typing import ClassVar

from mlmd_panel.errors import PayloadError, PayloadUnknown
from mlmd_panel.files import tfrecord
from mlmd_panel.files.allowed import Entry, Files
from mlmd_panel.payloads.data import schema
from mlmd_panel.payloads.data.schema import SchemaPayload
from mlmd_panel.payloads.evaluation import slices
from mlmd_panel.payloads.model import saved_model
from mlmd_panel.payloads.model.saved_model import SavedModel
from mlmd_panel.store.records import Artifact

MAX_VOCABULARIES = 200
MAX_ENTRIES = 100
ASSETS = "transform_fn/assets/"
_ASSET_MAP = "transformed_metadata/asset_map"
# Read to count the entries of one vocabulary, and of all.
_MAX_COUNTED = 64 << 20
_MAX_ALL = 256 << 20
_CHUNK = 256 << 10


@dataclasses.dataclass(frozen=True)
class Vocabulary:
    """A vocabulary.

    Attributes:
      name: As the preprocessing function calls it.
      file: Its file below the assets.
      bytes: Size of the file.
      size: Number of entries; None when the file is too large to count.
      entries: The first ones as they are written, most frequent first; with `store_frequency` each after its count.
    """

    name: str
    file: str
    bytes: int
    size: int | None
    entries: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class TransformPayload:
    """A transform graph.

    Attributes:
      raw_schema: Schema of the examples that go in; None when gone.
      transformed_schema: Schema of the examples that come out; None when gone.
      vocabularies: By name.
      graph: The SavedModel that does it, or None.
      files: All files.
      size: Bytes of the files.
      cut: There are more files or vocabularies.
      problems: Sentences about parts that cannot be shown.
    """

    kind: ClassVar[str] = "transform"
    raw_schema: SchemaPayload | None
    transformed_schema: SchemaPayload | None
    vocabularies: tuple[Vocabulary, ...]
    graph: SavedModel | None
    files: tuple[Entry, ...]
    size: int
    cut: bool
    problems: tuple[str, ...] = ()


def read(artifact: Artifact, files: Files) -> TransformPayload:
    """Reads a TransformGraph; a part that cannot be read becomes a sentence in `problems`.

    Raises:
      PayloadUnknown: There are files, and none of a transform graph.
      PayloadError: The folder is gone or cannot be read.
    """
    listing = files.list(artifact.uri)
    problems: list[str] = []

    def schema_in(folder: str) -> SchemaPayload | None:
        below = dataclasses.replace(artifact, uri=f"{artifact.uri.rstrip('/')}/{folder}")
        try:
            return schema.read(below, files)
        except PayloadError as error:
            problems.append(f"{folder}: {error}")
            return None

    raw, transformed = schema_in("metadata"), schema_in("transformed_metadata")
    assets = [entry for entry in listing if entry.name.startswith(ASSETS)]
    names = asset_names(artifact.uri, files, {entry.name for entry in listing}, problems)
    vocabularies, left = [], _MAX_ALL
    for entry in assets[:MAX_VOCABULARIES]:
        file = entry.name.removeprefix(ASSETS)
        try:
            found = _vocabulary(files, artifact.uri, entry, names.get(file, file), left)
        except PayloadError as error:
            problems.append(str(error))
            continue
        left -= min(entry.size, left)
        vocabularies.append(found)
    graph = None
    try:
        graph = saved_model.read(files, artifact.uri, "transform_fn")
    except PayloadError as error:
        problems.append(str(error))
    if raw is transformed is graph is None and not assets:
        raise PayloadUnknown(
            "The artifact has no transform_fn, metadata or transformed_metadata, the parts of a transform graph."
        )
    return TransformPayload(
        raw_schema=raw,
        transformed_schema=transformed,
        vocabularies=tuple(sorted(vocabularies, key=lambda one: one.name)),
        graph=graph,
        files=tuple(listing),
        size=sum(entry.size for entry in listing),
        cut=listing.cut or len(assets) > MAX_VOCABULARIES,
        problems=tuple(problems),
    )


def asset_names(uri: str, files: Files, present: set[str], problems: list[str]) -> dict[str, str]:
    """Name of each asset by its file; those of older versions have none but the file's."""
    if _ASSET_MAP not in present:
        return {}
    try:
        found = json.loads(files.read(uri, _ASSET_MAP, 1 << 20).decode())
        return {file: name for name, file in found.items() if isinstance(file, str)}
    except PayloadError as error:
        problems.append(str(error))
    except (ValueError, RecursionError, AttributeError):
        problems.append(f"{_ASSET_MAP} is not a valid JSON object.")
    return {}


def _vocabulary(files: Files, uri: str, entry: Entry, name: str, left: int) -> Vocabulary:
    if entry.name.endswith(".tfrecord.gz"):
        limit = min(_MAX_COUNTED, left)
        records = tfrecord.records(files, uri, entry.name, max_total=max(limit, 1 << 20))
        size = 0
        entries: list[str] = []
        for record in records:
            size += 1
            if len(entries) < MAX_ENTRIES:
                entries.append(shown(record))
        return Vocabulary(name, entry.name.removeprefix(ASSETS), entry.size, size, tuple(entries))
    with files.open(uri, entry.name) as file:
        head = file.read(_CHUNK)
        lines = head.split(b"\n")
        # A line that goes on behind the head is counted, and not shown.
        whole = lines[:-1] if len(head) == _CHUNK or not lines[-1] else lines
        size, read, last = head.count(b"\n"), len(head), head[-1:]
        while read < min(_MAX_COUNTED, left):
            chunk = file.read(_CHUNK)
            if not chunk:
                break
            size, read, last = size + chunk.count(b"\n"), read + len(chunk), chunk[-1:]
        counted = not file.read(1)
    size += last not in (b"", b"\n")
    entries = [shown(line.rstrip(b"\n")) for line in whole[:MAX_ENTRIES]]
    return Vocabulary(
        name, entry.name.removeprefix(ASSETS), entry.size, size if counted else None, tuple(entries)
    )


def shown(entry: bytes) -> str:
    """An entry of a vocabulary as text, shortened to what a page can show."""
    return slices.text(entry[:1000])
