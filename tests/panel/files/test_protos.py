"""The panel's message classes are those of the installed TFX, and collide with nobody's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from mlmd_panel.errors import PayloadError
from mlmd_panel.files import protos

from tests.bundle import LANE, ROOT, TFX_PYTHON
from tests.panel import tfx_child
from tests.panel.raw_bytes import varint

_NAMES = [
    "tensorflow.Example",
    "tensorflow.SavedModel",
    "tensorflow.SequenceExample",
    "tensorflow.metadata.v0.Anomalies",
    "tensorflow.metadata.v0.DatasetFeatureStatisticsList",
    "tensorflow.metadata.v0.Schema",
    "tensorflow_model_analysis.AttributionsForSlice",
    "tensorflow_model_analysis.EvalConfig",
    "tensorflow_model_analysis.MetricsForSlice",
    "tensorflow_model_analysis.PlotsForSlice",
    "tensorflow_model_analysis.ValidationResult",
]
_EACH = """
import sys
from mlmd_panel.files import protos
for name in sys.argv[1:]:
    made = protos.message(name)
    assert made.FromString(made().SerializeToString()) == made(), name
    assert made.DESCRIPTOR.full_name == name
"""


def test_all_that_the_installed_tfx_writes_is_known(tmp_path: Path) -> None:
    tfx_child.run("official_protos", tmp_path / "protos")
    installed, ours = (path.read_bytes() for path in (tmp_path / "protos", protos.DESCRIPTORS))
    assert _written(installed) <= _written(ours)
    assert LANE != "1.21" or installed == ours  # those of the newest are ours


def _written(descriptors: bytes) -> set[tuple[str, str, int, int, int]]:
    """Fields, with their numbers, types and labels, and values of enumerations."""
    found = set()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptors).file:
        messages = [(f"{file.package}.{message.name}", message) for message in file.message_type]
        enums = [(file.package, enum) for enum in file.enum_type]
        for name, message in messages:
            messages += [(f"{name}.{nested.name}", nested) for nested in message.nested_type]
            enums += [(name, enum) for enum in message.enum_type]
            found |= {(name, field.name, field.number, field.type, field.label) for field in message.field}
        found |= {
            (f"{name}.{enum.name}", value.name, value.number, 0, 0)
            for name, enum in enums
            for value in enum.value
        }
    return found


@pytest.mark.parametrize("implementation", ["", "python"])
@pytest.mark.parametrize("python", [sys.executable, TFX_PYTHON], ids=["airflow", "tfx"])
def test_messages_work_on_old_and_new_protobuf(python: str, implementation: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
    if implementation:
        environment["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = implementation
    subprocess.run([python, "-c", _EACH, *_NAMES], env=environment, check=True)


def test_the_messages_are_in_a_pool_of_their_own() -> None:
    protos.message("tensorflow.Example")
    with pytest.raises(KeyError):
        descriptor_pool.Default().FindMessageTypeByName("tensorflow.Example")
    with pytest.raises(KeyError):
        protos.message("tensorflow.Absent")


def test_a_broken_message_is_a_sentence() -> None:
    with pytest.raises(PayloadError, match="^a/b.pb is not a valid SavedModel.$"):
        protos.parse("tensorflow.SavedModel", b"\xff\xff", "a/b.pb")


def test_a_message_that_nests_without_end_is_a_sentence() -> None:
    def nested(depth: int) -> bytes:
        data = b""
        for _ in range(depth):  # structs of structs: Schema.feature and Feature.struct_domain by turns
            for tag in (b"\xea\x01", b"\x0a"):
                data = tag + varint(len(data)) + data
        return data

    protos.parse("tensorflow.metadata.v0.Schema", nested(20), "x")
    with pytest.raises(PayloadError, match="is not a valid"):
        protos.parse("tensorflow.metadata.v0.Schema", nested(5000), "x")
