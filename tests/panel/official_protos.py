"""The descriptors that protos.binpb holds, as the installed TFX says; run in the interpreter of TFX 1.21.

`python -m tests.panel.official_protos` writes plugins/mlmd_panel/files/protos.binpb anew;
`python -m tests.panel.official_protos FILE` writes FILE.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_SHIPPED = Path(__file__).parents[2] / "plugins" / "mlmd_panel" / "files" / "protos.binpb"
_MODULES = (
    "tensorflow.core.example.example_pb2",
    "tensorflow.core.protobuf.saved_model_pb2",
    "tensorflow_metadata.proto.v0.anomalies_pb2",
    "tensorflow_metadata.proto.v0.schema_pb2",
    "tensorflow_metadata.proto.v0.statistics_pb2",
    "tensorflow_model_analysis.proto.metrics_for_slice_pb2",
    "tensorflow_model_analysis.proto.validation_result_pb2",
)


def descriptors() -> bytes:
    """Serialized FileDescriptorSet of the modules and of all that they import, each after its imports."""
    from google.protobuf import descriptor_pb2

    found = {}

    def add(file) -> None:
        if file.name not in found:
            for imported in file.dependencies:
                add(imported)
            found[file.name] = descriptor_pb2.FileDescriptorProto.FromString(file.serialized_pb)

    for module in _MODULES:
        add(importlib.import_module(module).DESCRIPTOR)
    return descriptor_pb2.FileDescriptorSet(file=found.values()).SerializeToString(deterministic=True)


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else _SHIPPED).write_bytes(descriptors())
