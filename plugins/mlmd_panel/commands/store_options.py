"""The options by which every command finds the store and the artifacts' files."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from sqlalchemy.engine import URL

from mlmd_panel.errors import SettingsError
from mlmd_panel.files.allowed import Files
from mlmd_panel.files.repository import Repository
from mlmd_panel.settings import Settings, read_settings
from mlmd_panel.store import address
from mlmd_panel.store.store import Store

ENVIRONMENT = """\
environment:
  MLMD_URL       the store, if --mlmd is not given
  MLMD_PASSWORD  its password; one in --mlmd is visible to everyone who can list this machine's processes
"""
_HELP = {
    "mlmd": "SQLAlchemy URL of the store, or the path of an SQLite file",
    "roots": "folders, or prefixes such as s3://bucket/prefix, below which artifact files may be read, separated "
    "by ',' or ':'. Default: for an SQLite store in a folder named mlmd, metadata or tfx_metadata, the parent of "
    "that folder; otherwise none, and the contents of artifacts are not read",
}
# Names of folders that hold only stores; what the pipelines wrote is next to them.
_STORE_FOLDERS = ("mlmd", "metadata", "tfx_metadata")


@dataclasses.dataclass(frozen=True)
class Opened:
    """The store and the files of a command.

    Attributes:
      store: Read-only; it can be read.
      files: What may be read of artifacts.
      roots: Where files may be read.
      repository: Where the lines of code are read.
      settings: From which the others were made.
    """

    store: Store
    files: Files
    roots: tuple[str, ...]
    repository: Repository
    settings: Settings


def add_arguments(parser: argparse.ArgumentParser, *without: str) -> None:
    """Adds an option for each setting, except some."""
    for field in dataclasses.fields(Settings):
        if field.name not in ("mlmd_conn_id", "object_store_conn_id", *without):
            default = f" Default: {field.default}." if field.default else ""
            text = _HELP.get(field.name) or f"{field.metadata['help']}{default}"
            parser.add_argument(f"--{field.name.replace('_', '-')}", help=text)


def opened(options: argparse.Namespace, pages: bool = False) -> Opened:
    """Opens the store that the options and the environment name.

    Args:
      options: Of the command line.
      pages: Whether pages ask it, which do not wait long for a writer.

    Raises:
      SettingsError: None is named, or an option is not valid.
      StoreError: It cannot be read.
    """
    from mlmd_panel.store.engine import PAGE_PATIENCE, TASK_PATIENCE, make_engine

    settings = read_settings(lambda name: getattr(options, name, None))
    url = store_url(settings.mlmd, os.environ)
    store = Store(make_engine(url, patience=PAGE_PATIENCE if pages else TASK_PATIENCE))
    store.check()
    roots = settings.root_list() or default_roots(url)
    roots = tuple(root if "://" in root else os.path.abspath(os.path.expanduser(root)) for root in roots)
    files = Files(roots, settings.max_bytes, settings.max_entries)
    code = settings.repository and os.path.abspath(os.path.expanduser(settings.repository))
    return Opened(store, files, roots, Repository(code), settings)


def store_url(text: str, environment: Mapping[str, str]) -> URL:
    """Address of the store.

    Args:
      text: Value of --mlmd, or "".
      environment: May hold MLMD_URL and MLMD_PASSWORD.

    Raises:
      SettingsError: No address is given, or it is not valid.
    """
    text = text or environment.get("MLMD_URL", "")
    if not text:
        raise SettingsError("No store given: use --mlmd sqlite:////path/metadata.db, or set MLMD_URL.")
    url = address.of_text(text) if "://" in text else address.of_file(os.path.abspath(text))
    password = environment.get("MLMD_PASSWORD")
    return url.set(password=password) if password and url.get_backend_name() != "sqlite" else url


def default_roots(url: URL) -> tuple[str, ...]:
    """The folder that holds both an SQLite store's folder and its pipelines; () if there is no such folder.

    Whoever writes a store chooses its URIs, so a folder is only guessed if its layout shows that it belongs to the
    pipelines, and it is never a home folder or the root folder.
    """
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith("file:"):
        return ()
    for folder in Path(os.path.abspath(url.database)).parents:
        if folder.name in _STORE_FOLDERS:
            found = folder.parent
            return () if found in (Path(found.anchor), Path.home()) else (str(found),)
    return ()
