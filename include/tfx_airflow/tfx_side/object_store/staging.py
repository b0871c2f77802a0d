"""Runs a node's executor on local files: inputs are copied here, outputs uploaded before they are published.

Executors use several libraries, and not each can open every address: TensorFlow has no file system for S3. What all of them
can is local files.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import os
import posixpath
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfx import types
from tfx.orchestration.portable import data_types, outputs_utils
from tfx.proto.orchestration import execution_result_pb2

from include.tfx_airflow.contract.errors import ManifestError, ObjectStoreError
from include.tfx_airflow.contract.object_store import ObjectStoreAccess, is_object_store, scheme
from include.tfx_airflow.tfx_side.object_store import driver
from include.tfx_airflow.tfx_side.object_store.local_copies import EMPTY, LocalCopies

log = logging.getLogger(__name__)

# Files that say where the inputs were, as text: TFMA's.
_TELL_PATHS = ("eval_config.json",)
_Run = Callable[[data_types.ExecutionInfo], execution_result_pb2.ExecutorOutput]


def reads_directly(executor_spec: Any, runner: str, root: str) -> bool:
    """Whether a node works on addresses instead of copies: Dataflow's workers cannot see a disk of this machine.

    Args:
      executor_spec: Of the node; None of a node without an executor.
      runner: Kind of its named Beam runner; "" if it has none.
      root: The pipeline root.

    Raises:
      ManifestError: It would have to, and TensorFlow has no file system for them.
    """
    # Of Beam's arguments, which are in two of its fields, as text or inside placeholders.
    if runner != "dataflow" and (runner or "DataflowRunner" not in str(executor_spec)):
        return False
    if scheme(root) != "gs":
        raise ManifestError(
            f"pipeline_root is {root!r}, and the node's Beam work runs on Dataflow, which can only use gs:// or copies that it "
            "cannot see; use a pipeline_root on gs://, or another runner for this node."
        )
    return True


class Staging:
    """One node's."""

    def __init__(self, access: ObjectStoreAccess):
        """Makes a folder for what the node makes."""
        self._copies = LocalCopies(access.staging, access.staging_bytes)
        self.folder = str(self._copies.work)
        self.close = self._copies.close

    def local(self, address: str) -> str:
        """Path of an artifact's files: of a copy, if they are in an object store.

        Raises:
          ObjectStoreError: They cannot be read.
        """
        return self._copies.of(address) if is_object_store(address) else address

    def run(self, info: data_types.ExecutionInfo, run: _Run) -> execution_result_pb2.ExecutorOutput:
        """Runs an executor; what it says of its outputs has the addresses of the object store.

        Raises:
          ObjectStoreError: An input cannot be read, or an output not be written; then nothing of it is left.
        """
        remote: dict[str, str] = {}  # address by path
        moved: list[tuple[types.Artifact, str]] = []
        outputs: list[tuple[str, str]] = []
        started = time.monotonic()
        try:
            for artifacts in info.input_dict.values():
                for artifact in artifacts:
                    if is_object_store(artifact.uri):
                        moved.append((artifact, artifact.uri))
                        path = self._copies.of(artifact.uri)
                        remote[path], artifact.uri = artifact.uri, path
            read = time.monotonic() - started
            for key, artifacts in info.output_dict.items():
                for number, artifact in enumerate(artifacts):
                    if is_object_store(artifact.uri) and not artifact.is_external:
                        moved.append((artifact, artifact.uri))
                        name = posixpath.basename(artifact.uri.rstrip("/"))
                        path = os.path.join(self.folder, "outputs", key, str(number), name)
                        outputs.append((path, artifact.uri))
                        remote[path], artifact.uri = artifact.uri, path
            output = run(info)
        finally:
            for artifact, address in moved:
                artifact.uri = address
        started = time.monotonic()
        named = _names(remote)
        _name_addresses_in_files([path for path, _ in outputs], named)
        self._upload(outputs)
        _name_addresses(output, named)
        if moved:
            wrote = time.monotonic() - started
            log.info("Object store: inputs were here after %.2f s, outputs there after %.2f s.", read, wrote)
        return output

    def _upload(self, outputs: list[tuple[str, str]]) -> None:
        try:
            for path, address in outputs:
                _put(path, address)
        except BaseException:
            for _, address in outputs:
                with contextlib.suppress(FileNotFoundError, ObjectStoreError), driver.answered(address):
                    driver.of(address).rm(address, recursive=True)
            raise
        for path, address in outputs:
            if os.path.exists(path):
                self._copies.keep(address, path)


class StagedResolver(outputs_utils.OutputsResolver):
    """Gives artifacts addresses in the object store, and folders for a node's own use on this machine."""

    def __init__(self, resolver: outputs_utils.OutputsResolver, staging: Staging):
        self.__dict__.update(copy.copy(resolver.__dict__))
        self._resolver = resolver
        self._node_dir = os.path.join(staging.folder, "node")

    def generate_output_artifacts(self, execution_id: int) -> dict[str, list[types.Artifact]]:
        """As TFX's."""
        return self._resolver.generate_output_artifacts(execution_id)


def _put(path: str, address: str) -> None:
    base = address.rstrip("/")
    if os.path.isfile(path):
        names = {path: base}
    else:
        names = {
            os.path.join(folder, name): f"{base}/{os.path.relpath(os.path.join(folder, name), path)}"
            for folder, _, files in os.walk(path)
            for name in files
        }
    with driver.answered(address):
        store = driver.of(address)
        try:
            if names:
                store.put(list(names), list(names.values()))
            else:
                store.pipe_file(f"{base}/{EMPTY}", b"")
        except FileNotFoundError as error:  # a bucket
            raise ObjectStoreError(
                f"{address!r} cannot be written: {error}; does its bucket exist?"
            ) from error
    if wrong := _differing(names, address):
        raise ObjectStoreError(f"{address!r} was not written completely: {wrong}; run the task again.")


def _differing(names: dict[str, str], address: str) -> list[str]:
    base = address.rstrip("/")
    found = {name: int(info["size"] or 0) for name, info in driver.files(address).items()}
    return [
        p for p, there in names.items() if found.get(there[len(base) :].lstrip("/")) != os.path.getsize(p)
    ]


def _names(remote: dict[str, str]) -> Callable[[str], str]:
    """Puts addresses in place of paths in a text; takes the address by path."""
    paths = sorted(remote, key=len, reverse=True)

    def named(text: str) -> str:
        for path in paths:
            text = text.replace(path, remote[path])
        return text

    return named


def _name_addresses(output: execution_result_pb2.ExecutorOutput, named: Callable[[str], str]) -> None:
    """Names addresses in what the executor says of its outputs, such as the model that it has blessed."""
    for listed in output.output_artifacts.values():
        for artifact in listed.artifacts:
            artifact.uri = named(artifact.uri)
            for properties in (artifact.properties, artifact.custom_properties):
                for value in properties.values():
                    if value.WhichOneof("value") == "string_value":
                        value.string_value = named(value.string_value)
    for value in output.execution_properties.values():
        if value.WhichOneof("value") == "string_value":
            value.string_value = named(value.string_value)


def _name_addresses_in_files(outputs: list[str], named: Callable[[str], str]) -> None:
    for path in outputs:
        for name in _TELL_PATHS:
            for file in Path(path).rglob(name):
                file.write_text(named(file.read_text(encoding="utf-8")), encoding="utf-8")
