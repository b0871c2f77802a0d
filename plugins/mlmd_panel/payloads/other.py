"""Lists the files of artifacts whose type or files the panel does not recognize."""

from __future__ import annotations

import codecs
import dataclasses
from typing import ClassVar

from mlmd_panel.errors import PayloadError
from mlmd_panel.files.allowed import Entry, Files
from mlmd_panel.store.records import Artifact

MAX_TEXT = 20_000
# Small files with such names are shown.
_TEXT = (".txt", ".json", ".jsonl", ".pbtxt", ".csv", ".md", ".yaml", ".yml", ".log")


@dataclasses.dataclass(frozen=True)
class OtherPayload:
    """Files.

    Attributes:
      files: By name.
      size: Bytes of the files shown.
      cut: There are more files.
      preview_name: Text file whose start is shown, or empty.
      preview: Its start.
      preview_cut: The file is longer.
      problem: Why the files of a known type are only listed, or empty.
    """

    kind: ClassVar[str] = "other"
    files: tuple[Entry, ...]
    size: int
    cut: bool = False
    preview_name: str = ""
    preview: str = ""
    preview_cut: bool = False
    problem: str = ""


def read(artifact: Artifact, files: Files) -> OtherPayload:
    """Lists the files, and reads the beginning of the first that is text.

    Raises:
      PayloadError: The folder is gone or cannot be read.
    """
    listing = files.list(artifact.uri)
    payload = OtherPayload(tuple(listing), sum(entry.size for entry in listing), listing.cut)
    for entry in listing:
        shown = entry.name or artifact.uri
        if shown.lower().endswith(_TEXT):
            try:
                with files.open(artifact.uri, entry.name) as file:
                    # A character may be cut in two where reading stops.
                    text = codecs.getincrementaldecoder("utf-8")().decode(file.read(MAX_TEXT))
            except (PayloadError, OSError, UnicodeDecodeError):
                continue
            name = entry.name or shown.rpartition("/")[2]
            return dataclasses.replace(
                payload, preview_name=name, preview=text, preview_cut=entry.size > MAX_TEXT
            )
    return payload
