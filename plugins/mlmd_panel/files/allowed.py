"""Reads artifact files, only below the allowed roots and only up to size limits.

An artifact's URI comes from a store that others write, so it is treated as hostile: `Files` checks the parts of the
address against the roots, and `local.py` follows no link out of them.
"""

from __future__ import annotations

import dataclasses
import io
import os
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

from mlmd_panel.errors import NoUri, PayloadError, SettingsError
from mlmd_panel.files import local, objects

MAX_BYTES = 64 << 20
MAX_ENTRIES = 2000
MAX_DEPTH = 6
# One name for what drivers know under several.
_PROTOCOLS = {
    "file": "file",
    "s3": "s3",
    "s3a": "s3",
    "gs": "gs",
    "gcs": "gs",
    "abfs": "abfs",
    "abfss": "abfs",
    "az": "abfs",
}
# Escapes that become a separator, a dot or an end when decoded; the panel does not decode them, others may.
_ESCAPE = re.compile(r"%(00|2e|2f|5c|25)", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # the last are halves of characters
_OUTSIDE = (
    "The artifact's files are outside the panel's allowed roots; an administrator can add their location to the"
    " panel's setting `roots`."
)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file below an artifact's URI.

    Attributes:
      name: Below the URI, with `/`; "" when the URI itself is the file.
      size: Bytes.
      modified: Milliseconds since 1970, or None when the place does not say.
    """

    name: str
    size: int
    modified: int | None


class Listing(list[Entry]):
    """Files below a URI, by name.

    Attributes:
      cut: There are more, left out by depth or number.
    """

    cut = False


@dataclasses.dataclass(frozen=True)
class _Place:
    protocol: str
    parts: tuple[str, ...]  # of a bucket's address the bucket is the first


class Files:
    """Reads files below allowed roots.

    Thread-safe; connects to an object store when something of it is first read.
    """

    def __init__(
        self,
        roots: Sequence[str],
        max_bytes: int = MAX_BYTES,
        max_entries: int = MAX_ENTRIES,
        options: Callable[[str], Mapping[str, Any]] | None = None,
        timeout: float = 15.0,
    ):
        """Takes the allowed places.

        Args:
          roots: Absolute folders, or prefixes such as `s3://bucket/prefix`.
          max_bytes: `read` refuses larger files.
          max_entries: `list` leaves out what is beyond this many.
          options: Gives the options of fsspec's driver of a protocol (`s3`, `gs`, `abfs`) when something of it is first
            read; what is not there it takes from the environment.
          timeout: Seconds that one request to an object store may take.

        Raises:
          SettingsError: A root is not an absolute folder or a known object store.
        """
        self.max_bytes = max_bytes
        self.max_entries = max_entries
        self._options = options or (lambda protocol: {})
        self._timeout = timeout
        self._roots = tuple(_root(root) for root in roots)
        self._stores: dict[str, objects.Store] = {}
        self._lock = threading.Lock()

    def list(self, uri: str, depth: int = MAX_DEPTH) -> Listing:
        """Files below a URI, by name.

        Args:
          uri: URI of the artifact.
          depth: Folders are entered this deep; 1 is the files directly below the URI.

        Raises:
          PayloadGone: There is nothing there.
          PayloadError: Outside the roots, or not readable.
        """
        place, roots = self._place(uri, "")
        depth = min(depth, MAX_DEPTH)
        rows: Sequence[objects.Row]
        if place.protocol == "file":
            rows, cut = local.walk(_path(place), roots, depth, self.max_entries)
        else:
            rows, cut = self._store(place.protocol).walk(place.parts, depth, self.max_entries)
        listing = Listing(sorted((Entry(*row) for row in rows), key=lambda entry: entry.name))
        listing.cut = cut
        return listing

    def open(self, uri: str, name: str = "") -> BinaryIO:
        """Opens a file for reading; whoever reads bounds how much.

        Args:
          uri: URI of the artifact.
          name: Name of the file below it, as `list` gives it; "" for the URI itself.

        Raises:
          PayloadGone: There is no such file.
          PayloadError: Outside the roots, not a plain file, or not readable; reading can raise it, too.
        """
        place, roots = self._place(uri, name)
        shown = name or (place.parts or ("The artifact's file",))[-1]
        if place.protocol == "file":
            return local.open_file(_path(place), roots, shown)
        return io.BufferedReader(self._store(place.protocol).open(place.parts, shown), 1 << 20)

    def read(self, uri: str, name: str = "", limit: int | None = None) -> bytes:
        """All bytes of a file.

        Args:
          uri: URI of the artifact.
          name: As for `open`.
          limit: A larger file is refused; `max_bytes` bounds it in any case.

        Raises:
          PayloadGone: There is no such file.
          PayloadError: Too large, or as for `open`.
        """
        limit = self.max_bytes if limit is None else min(limit, self.max_bytes)
        with self.open(uri, name) as file:
            size = file.seek(0, io.SEEK_END)
            if size > limit:
                shown = name or "The artifact's file"
                raise PayloadError(
                    f"{shown} is larger than the {_size(limit)} that the panel reads from such a file."
                )
            file.seek(0)
            return file.read(size)

    def _place(self, uri: str, name: str) -> tuple[_Place, tuple[str, ...]]:
        """What a URI and a name below it address, and the local roots that it may resolve to."""
        if not uri:
            raise NoUri("The store has no location for the artifact's files.")
        place = _parse(uri)
        if name:
            parts = name.split("/")
            if _suspicious(name) or any(part in ("", ".", "..") for part in parts):
                raise PayloadError("A file name below the artifact's URI must be a plain relative path.")
            place = _Place(place.protocol, place.parts + tuple(parts))
        allowed = [root for root in self._roots if root.protocol == place.protocol]
        if not any(place.parts[: len(root.parts)] == root.parts for root in allowed):
            raise PayloadError(_OUTSIDE)
        return place, tuple(_path(root) for root in allowed if root.protocol == "file")

    def _store(self, protocol: str) -> objects.Store:
        with self._lock:
            if protocol not in self._stores:
                self._stores[protocol] = objects.Store(protocol, self._options(protocol), self._timeout)
            return self._stores[protocol]


def _suspicious(text: str) -> bool:
    return bool(_CONTROL.search(text) or _ESCAPE.search(text) or "\\" in text)


def _parse(uri: str) -> _Place:
    scheme, separator, rest = uri.partition("://")
    protocol = _PROTOCOLS.get(scheme) if separator else "file"
    if separator and protocol == "file" and not rest.startswith("/"):
        protocol = None  # file://host/..., a path of another machine
    if not separator:
        rest = uri
    if protocol is None or "::" in uri or "://" in rest or _suspicious(uri):
        raise PayloadError(_OUTSIDE)
    if protocol == "file" and not rest.startswith("/"):
        raise PayloadError("The artifact's URI is a relative path; the panel needs an absolute one.")
    parts = tuple(part for part in rest.split("/") if part not in ("", "."))
    # Drivers of object stores take an empty part for one, and so another object.
    odd = protocol != "file" and ("//" in rest.rstrip("/") or "/./" in rest or not parts)
    if ".." in parts or odd or (protocol != "file" and rest.startswith("/")):
        raise PayloadError(_OUTSIDE)
    return _Place(protocol, parts)


def _root(root: str) -> _Place:
    try:
        return _parse(root)
    except PayloadError as error:
        raise SettingsError(
            f"{root!r} is not a valid root: use an absolute folder, or a prefix such as"
            " s3://bucket/prefix, gs://bucket/prefix or abfs://container/prefix."
        ) from error


def _path(place: _Place) -> str:
    return os.sep + os.sep.join(place.parts)


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count} bytes"
