"""Reads a protocol buffer message in any form that TFDV writes: serialized, text format or TFRecord."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from mlmd_panel.errors import PayloadError, PayloadGone, PayloadUnknown
from mlmd_panel.files import protos, tfrecord, wire_format
from mlmd_panel.files.allowed import Files

# Parsing text takes about a second for each MiB.
MAX_TEXT = 4 << 20
_HEAD = 4096
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TEXT_START = re.compile(rb"\s*([A-Za-z_#\[]|$)")


def read(
    files: Files, uri: str, names: Sequence[str], full_name: str, limit: int = wire_format.MAX_MESSAGES
) -> Any:
    """The message in a file, or in all its shards merged; the form is detected from the content.

    Args:
      files: Where from.
      uri: URI of the artifact.
      names: Names of the files below it; "" for the URI itself.
      full_name: Full name of the message, as for `protos.message`.
      limit: Number of messages that may be inside.

    Raises:
      PayloadUnknown: The URI is a file without such a message.
      PayloadError: The file is missing, damaged or too large.
    """
    try:
        return _read(files, uri, names, full_name, limit)
    except PayloadGone:
        raise
    except PayloadError as error:
        if "" not in names:
            raise
        raise PayloadUnknown(str(error)) from error


def _read(files: Files, uri: str, names: Sequence[str], full_name: str, limit: int) -> Any:
    kind = full_name.rpartition(".")[2]
    pieces: list[bytes] = []
    left = protos.MAX_MESSAGE
    for name in names:
        shown = name or "The artifact's file"
        with files.open(uri, name) as file:
            head = file.read(_HEAD)
            size = file.seek(0, io.SEEK_END)
        if tfrecord.begins(head) or (not head and "tfrecord" in (name or uri)):
            found = list(tfrecord.records(files, uri, name, None, left, left + 64))
            if not found:
                raise PayloadError(f"{shown} is damaged: it has no records.")
        elif head and is_text(head):
            if size > MAX_TEXT:
                raise PayloadError(
                    f"{shown} is larger than the {MAX_TEXT >> 20} MiB of text that the panel reads;"
                    f" of a serialized .pb file it reads {protos.MAX_MESSAGE >> 20} MiB."
                )
            parsed = parse_text(full_name, files.read(uri, name, MAX_TEXT), shown)
            if len(names) == 1:
                return parsed
            found = [parsed.SerializeToString()]
        else:
            found = [files.read(uri, name, protos.MAX_MESSAGE)]
        left -= sum(map(len, found))
        if left < 0:
            raise PayloadError(
                f"The {kind} files are larger than the {protos.MAX_MESSAGE >> 20} MiB that the panel reads."
            )
        pieces += found
    # Serialized messages, one after the other, are the serialized merged message.
    data, shown = b"".join(pieces), names[0] or "The artifact's file"
    wire_format.check(data, protos.message(full_name).DESCRIPTOR, shown, limit)
    return protos.parse(full_name, data, shown)


def is_text(head: bytes) -> bool:
    """Whether a file that starts with `head` is text; serialized messages contain control characters."""
    if _CONTROL.search(head) or not _TEXT_START.match(head):
        return False
    try:
        head.decode()
    except UnicodeDecodeError as error:  # reading may have stopped inside a character
        return len(head) == _HEAD and error.start > len(head) - 4
    return True


def parse_text(full_name: str, data: bytes, name: str) -> Any:
    """A message from its text format.

    Args:
      full_name: As for `protos.message`.
      data: UTF-8.
      name: File that it comes from, for the error.

    Raises:
      PayloadError: The text is not such a message.
    """
    from google.protobuf import text_format

    proto = protos.message(full_name)()
    with protos.sound(
        name, f"{full_name.rpartition('.')[2]} in text format"
    ):  # RecursionError is a RuntimeError
        return text_format.Parse(data.decode(), proto, descriptor_pool=protos.pool())
