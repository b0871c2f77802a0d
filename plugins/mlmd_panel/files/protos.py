"""Protocol buffer classes for TFX's files, made from the libraries' own descriptors in protos.binpb.

They are in a separate descriptor pool, so they cannot collide with TensorFlow's or others in the same process. `python -m tests.panel.official_protos`, run where TFX 1.21 is installed, writes protos.binpb anew.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlmd_panel.errors import PayloadError

if TYPE_CHECKING:
    from google.protobuf import descriptor_pool
    from google.protobuf.message import Message

MAX_MESSAGE = 16 << 20  # bytes of one that is read whole
DESCRIPTORS = Path(__file__).with_name("protos.binpb")


@functools.cache
def pool() -> descriptor_pool.DescriptorPool:
    """The pool of the official descriptors."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    files = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    made = descriptor_pool.DescriptorPool()
    for file in files.file:  # each after those it imports
        made.AddSerializedFile(file.SerializeToString())
    return made


@functools.cache
def message(full_name: str) -> type[Message]:
    """Class of a message.

    Args:
      full_name: Such as `tensorflow.metadata.v0.Schema`, `tensorflow.Example`, `tensorflow.SavedModel` or
        `tensorflow_model_analysis.MetricsForSlice`.

    Raises:
      KeyError: protos.binpb has no such message.
    """
    from google.protobuf import message_factory

    descriptor = pool().FindMessageTypeByName(full_name)
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(descriptor)
    return message_factory.MessageFactory(pool()).GetPrototype(descriptor)  # protobuf before 4.22


def parse(full_name: str, data: bytes, name: str) -> Any:
    """Reads a message from its bytes.

    Args:
      full_name: As for `message`.
      data: Serialized message.
      name: File that it comes from, below the artifact's URI, for the error.

    Raises:
      PayloadError: The bytes are not such a message.
    """
    with sound(name, full_name.rpartition(".")[2]):
        return message(full_name).FromString(data)


@contextlib.contextmanager
def sound(name: str, kind: str) -> Iterator[None]:
    """Turns the errors of parsing and reading damaged messages into a PayloadError.

    Args:
      name: File, below the artifact's URI.
      kind: What it should hold.
    """
    from google.protobuf.message import DecodeError
    from google.protobuf.text_format import ParseError

    try:
        yield
    except ParseError as error:
        line = error.GetLine()
        raise PayloadError(
            f"{name} is not a valid {kind}{f': error in line {line}' if line else ''}."
        ) from error
    # The implementations differ: text that is not UTF-8 may be found only when it is read.
    except (DecodeError, ValueError, RuntimeError) as error:
        raise PayloadError(f"{name} is not a valid {kind}.") from error
