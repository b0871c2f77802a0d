"""Reads the whole vocabularies of a TransformGraph, as comparing them needs it."""

from __future__ import annotations

import dataclasses

from mlmd_panel.errors import PayloadError
from mlmd_panel.files import tfrecord
from mlmd_panel.files.allowed import Entry, Files
from mlmd_panel.payloads.model.transform import ASSETS, MAX_VOCABULARIES, asset_names, shown
from mlmd_panel.store.records import Artifact

MAX_BYTES = 4 << 20  # of one vocabulary
MAX_ALL = 16 << 20


@dataclasses.dataclass(frozen=True)
class WholeVocabulary:
    """A vocabulary.

    Attributes:
      name: As the preprocessing function calls it.
      entries: All of them as they are written, most frequent first; with `store_frequency` each after its count.
    """

    name: str
    entries: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Vocabularies:
    """The vocabularies of a transform graph.

    Attributes:
      found: By name.
      problems: Sentences about those that are not read, by name.
    """

    found: dict[str, WholeVocabulary]
    problems: dict[str, str]


def read(artifact: Artifact, files: Files) -> Vocabularies:
    """Reads the vocabularies of a TransformGraph; one that cannot be read becomes a sentence in `problems`.

    Raises:
      PayloadError: The folder is gone or cannot be read.
    """
    listing = files.list(artifact.uri)
    notes: list[str] = []
    names = asset_names(artifact.uri, files, {entry.name for entry in listing}, notes)
    found: dict[str, WholeVocabulary] = {}
    problems = {"": notes[0]} if notes else {}
    assets = [entry for entry in listing if entry.name.startswith(ASSETS)]
    left = MAX_ALL
    for entry in assets[:MAX_VOCABULARIES]:
        file = entry.name.removeprefix(ASSETS)
        name = names.get(file, file)
        if entry.size > min(MAX_BYTES, left):
            problems[name] = f"{name} is larger than the {MAX_BYTES >> 20} MiB that are compared."
            continue
        left -= entry.size
        try:
            found[name] = WholeVocabulary(name, _entries(artifact.uri, entry, files))
        except PayloadError as error:
            problems[name] = str(error)
    if listing.cut or len(assets) > MAX_VOCABULARIES:
        problems.setdefault("", "There are more vocabularies than are compared.")
    return Vocabularies(found, problems)


def _entries(uri: str, entry: Entry, files: Files) -> tuple[str, ...]:
    if entry.name.endswith(".tfrecord.gz"):
        return tuple(map(shown, tfrecord.records(files, uri, entry.name, max_total=MAX_BYTES)))
    return tuple(shown(line) for line in files.read(uri, entry.name, MAX_BYTES).split(b"\n") if line)
