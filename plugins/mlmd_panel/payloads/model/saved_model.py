"""Reads the signatures of a SavedModel from saved_model.pb, without its graph."""

from __future__ import annotations

import dataclasses
from typing import Any

from mlmd_panel.errors import PayloadError
from mlmd_panel.files import protos, wire_format
from mlmd_panel.files.allowed import Files

FILE = "saved_model.pb"
MAX_SIGNATURES = 100
MAX_TENSORS = 1000
_MAX_PART = 2 << 20
# Of TensorFlow's own, that restore variables and tables.
_INTERNAL = "__saved_model"
_DTYPES = {
    "DT_FLOAT": "float32",
    "DT_DOUBLE": "float64",
    "DT_HALF": "float16",
    "DT_COMPLEX64": "complex64",
    "DT_COMPLEX128": "complex128",
}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """An input or output.

    Attributes:
      name: In the signature.
      dtype: Such as float32 or string.
      shape: Length of each dimension, None where it is open; None when even their number is.
      encoding: dense, sparse or composite.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None
    encoding: str = "dense"


@dataclasses.dataclass(frozen=True)
class Signature:
    """A way to call the model.

    Attributes:
      name: Such as `serving_default`.
      method: Such as `tensorflow/serving/predict`.
      inputs: By name.
      outputs: By name.
      cut: There are more inputs or outputs.
    """

    name: str
    method: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    cut: bool = False


@dataclasses.dataclass(frozen=True)
class SavedModel:
    """A SavedModel.

    Attributes:
      tags: Such as `serve`; of all its graphs.
      tensorflow: Version of TensorFlow that wrote it, or empty.
      signatures: By name.
      cut: There are more signatures.
    """

    tags: tuple[str, ...]
    tensorflow: str
    signatures: tuple[Signature, ...]
    cut: bool = False


def read(files: Files, uri: str, folder: str) -> SavedModel:
    """Reads saved_model.pb.

    Args:
      files: Where from.
      uri: URI of the artifact.
      folder: Below it, that holds the SavedModel; "" for the URI itself.

    Raises:
      PayloadError: Gone, broken or too large.
    """
    name = f"{folder}/{FILE}" if folder else FILE
    data = memoryview(files.read(uri, name))
    tags: list[str] = []
    versions: list[str] = []
    signatures: dict[str, Signature] = {}
    cut = False
    for number, graph in wire_format.fields(data, name):
        if number != 2:  # meta_graphs
            continue
        for field, part in wire_format.fields(graph, name):
            if field == 1:  # meta_info_def
                info = _parse("MetaInfoDef", part, name)
                tags += [tag for tag in info.tags if tag not in tags][:20]
                versions.append(info.tensorflow_version[:100])
            elif field == 5:  # an entry of signature_def
                if len(signatures) >= MAX_SIGNATURES:
                    cut = True
                    continue
                entry = _parse("SignatureDefEntry", part, name)
                if not entry.key.startswith(_INTERNAL):
                    signatures[entry.key] = _signature(entry.key, entry.value)
    ordered = tuple(signatures[key] for key in sorted(signatures))
    return SavedModel(tuple(tags), next((v for v in versions if v), ""), ordered, cut)


def _parse(type_: str, part: memoryview, name: str) -> Any:
    if len(part) > _MAX_PART:
        raise PayloadError(
            f"{name} has a signature larger than the {_MAX_PART >> 20} MiB that the panel reads."
        )
    full_name = f"tensorflow.MetaGraphDef.{type_}"
    wire_format.check(part, protos.message(full_name).DESCRIPTOR, name)
    return protos.parse(full_name, bytes(part), name)


def _signature(name: str, message: Any) -> Signature:
    cut = max(len(message.inputs), len(message.outputs)) > MAX_TENSORS
    return Signature(name, message.method_name, _tensors(message.inputs), _tensors(message.outputs), cut)


def _tensors(found: Any) -> tuple[Tensor, ...]:
    return tuple(_tensor(name, found[name]) for name in sorted(found)[:MAX_TENSORS])


def _tensor(name: str, message: Any) -> Tensor:
    shape = None
    if not message.tensor_shape.unknown_rank:
        sizes = [dim.size for dim in message.tensor_shape.dim[:32]]
        shape = tuple(size if size >= 0 else None for size in sizes)
    kind = {"coo_sparse": "sparse", "composite_tensor": "composite"}.get(
        message.WhichOneof("encoding") or "", "dense"
    )
    values = message.DESCRIPTOR.fields_by_name["dtype"].enum_type.values_by_number
    written = values[message.dtype].name if message.dtype in values else f"type {message.dtype}"
    return Tensor(name, _DTYPES.get(written, written.removeprefix("DT_").lower()), shape, kind)
