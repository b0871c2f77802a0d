"""Reads objects from S3, Google Cloud Storage and Azure through fsspec, with a time limit on each request."""

from __future__ import annotations

import datetime
import io
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlmd_panel.errors import PanelError, PayloadError, PayloadGone

_DRIVERS = {"s3": "s3fs", "gs": "gcsfs", "abfs": "adlfs"}
_CONNECT_SECONDS = 5
# The most that S3 returns at once.
_KEYS = 1000
_log = logging.getLogger(__name__)

Row = tuple[str, int, int | None]


class Store:
    """The objects of one protocol."""

    def __init__(self, protocol: str, options: Mapping[str, Any], timeout: float):
        """Loads the driver.

        Args:
          protocol: `s3`, `gs` or `abfs`.
          options: The driver's options.
          timeout: Seconds that one request may take.

        Raises:
          PayloadError: The driver is not installed, or rejects the options.
        """
        self._protocol = protocol
        self._timeout = timeout
        options = {"use_listings_cache": False, "skip_instance_cache": True, **options}
        if protocol == "s3":
            limits = {
                "connect_timeout": _CONNECT_SECONDS,
                "read_timeout": timeout,
                "retries": {"max_attempts": 1},
            }
            options["config_kwargs"] = {**limits, **options.get("config_kwargs", {})}
        try:
            import fsspec

            self._driver = fsspec.filesystem(protocol, **options)
        except ImportError as error:
            package = _DRIVERS[protocol]
            raise PayloadError(
                f"Reading {protocol}:// needs the package {package}: install it where the panel runs."
            ) from error
        except Exception as error:
            raise self._failure(error, "The artifact's files") from error
        if protocol == "s3":
            self._driver.retries = 1  # its own, on top of the client's

    def walk(self, parts: Sequence[str], depth: int, limit: int) -> tuple[list[Row], bool]:
        """Objects below a prefix.

        Args:
          parts: Bucket and parts of the prefix; of an object, the one row has the name "".
          depth: As in `local.walk`.
          limit: As in `local.walk`.

        Returns:
          (name below the prefix, bytes, milliseconds of the last change or None) of each, and whether something
          was left out.

        Raises:
          PayloadGone: There is nothing there.
          PayloadError: The object store does not respond, or rejects the request.
        """
        base = "/".join(parts)
        rows: list[Row] = []
        todo = [(base, depth)]
        looked = 0
        cut = False
        end = time.monotonic() + self._timeout
        while todo:
            folder, left = todo.pop(0)
            if time.monotonic() > end:
                return rows, True
            for info in self._listed(folder, limit - looked + 1):
                path = info["name"].rstrip("/")
                if path == folder and info["type"] == "directory":
                    continue
                if path != base and not path.startswith(base + "/"):
                    continue
                looked += 1
                if looked > limit:
                    return rows, True
                if info["type"] == "directory" and left <= 1:
                    cut = True
                elif info["type"] == "directory":
                    todo.append((path, left - 1))
                elif info["type"] == "file" and not (path == folder and info["name"].endswith("/")):
                    rows.append((path[len(base) + 1 :], int(info["size"] or 0), _modified(info)))
        return rows, cut

    def _listed(self, folder: str, limit: int) -> Iterator[Mapping[str, Any]]:
        """What is directly in a folder, by name, as the driver describes it; of S3 no more pages than are needed."""
        shown = "The artifact's folder"
        if self._protocol != "s3":
            # Their drivers give the whole folder only: the time of a request bounds it.
            yield from sorted(self._ask(shown, "ls", folder, detail=True), key=lambda info: info["name"])
            return
        bucket, _, key = folder.partition("/")
        asked: dict[str, Any] = {"Bucket": bucket, "Prefix": f"{key}/" if key else "", "Delimiter": "/"}
        count = 0
        while True:
            keys = min(limit - count, _KEYS)
            page = self._ask(shown, "call_s3", "list_objects_v2", MaxKeys=max(keys, 1), **asked)
            for info in sorted([*_folders(bucket, page), *_objects(bucket, page)], key=lambda i: i["name"]):
                count += 1
                yield info
            if not page.get("IsTruncated") or count >= limit:
                break
            asked["ContinuationToken"] = page["NextContinuationToken"]
        if not count and key:
            yield self._ask(shown, "info", folder)

    def open(self, parts: Sequence[str], shown: str) -> io.RawIOBase:
        """Opens an object.

        Args:
          parts: Bucket and parts of the key.
          shown: How errors call it.

        Raises:
          PayloadGone: There is no such object.
          PayloadError: The object store does not respond, or rejects the request.
        """
        path = "/".join(parts)
        info = self._ask(shown, "info", path)
        if info["type"] != "file":
            raise PayloadError(f"{shown} is a folder, not a file.")
        return _Object(self, path, int(info["size"] or 0), shown)

    def fetch(self, path: str, start: int, end: int, shown: str) -> bytes:
        """Bytes of an object from `start` up to `end`."""
        return self._ask(shown, "cat_file", path, start=start, end=end)

    def _ask(self, shown: str, method: str, *args: Any, **kwargs: Any) -> Any:
        from fsspec.asyn import sync

        try:
            if self._driver.async_impl:
                coroutine = getattr(self._driver, f"_{method}")
                return sync(self._driver.loop, coroutine, *args, timeout=self._timeout, **kwargs)
            return getattr(self._driver, method)(*args, **kwargs)
        except PanelError:
            raise
        except Exception as error:
            raise self._failure(error, shown) from error

    def _failure(self, error: Exception, shown: str) -> PayloadError:
        if isinstance(error, FileNotFoundError):
            return PayloadGone(
                f"{shown} is missing: there is nothing at the location that the store records."
            )
        # The drivers' messages contain addresses and sometimes more, so they only go to the log.
        _log.warning("Reading from %s:// failed: %s: %s", self._protocol, type(error).__name__, error)
        if isinstance(error, PermissionError) or "Credentials" in type(error).__name__:
            return PayloadError(f"{shown} cannot be read with the panel's credentials.")
        if (
            isinstance(error, TimeoutError)
            or "Timeout" in type(error).__name__
            or "Connection" in type(error).__name__
        ):
            return PayloadError(
                f"{shown} cannot be read: the object store does not respond. Try again later."
            )
        return PayloadError(f"{shown} cannot be read from the object store: {type(error).__name__}.")


class _Object(io.RawIOBase):
    """An object as a file; each read is a request for just those bytes."""

    def __init__(self, store: Store, path: str, size: int, shown: str):
        self._store, self._path, self._size, self._shown = store, path, size, shown
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        data = self._store.fetch(self._path, self._at, end, self._shown)
        if len(data) != end - self._at:
            raise PayloadError(f"{self._shown} changed while being read. Try again.")
        buffer[: len(data)] = data
        self._at = end
        return len(data)


def _folders(bucket: str, page: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for one in page.get("CommonPrefixes", ()):
        yield {"name": f"{bucket}/{one['Prefix']}", "type": "directory", "size": 0}


def _objects(bucket: str, page: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for one in page.get("Contents", ()):
        yield {**one, "name": f"{bucket}/{one['Key']}", "type": "file", "size": one["Size"]}


def _modified(info: Mapping[str, Any]) -> int | None:
    for name in ("LastModified", "last_modified", "updated", "mtime"):
        value = info.get(name)
        if isinstance(value, str):
            try:
                value = datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
            except ValueError:
                continue
        if isinstance(value, datetime.datetime):
            return int(value.timestamp() * 1000)
    return None
