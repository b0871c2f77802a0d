"""Reads JSON files of artifacts."""

from __future__ import annotations

import json
from typing import Any

from mlmd_panel.errors import PayloadError
from mlmd_panel.files.allowed import Files


def read(files: Files, uri: str, name: str, limit: int) -> Any:
    """The content of a JSON file.

    Args:
      files: Where from.
      uri: URI of the artifact.
      name: Name of the file below it; "" for the URI itself.
      limit: Bytes; a larger file is refused.

    Raises:
      PayloadError: The file is missing, too large or not valid JSON.
    """
    return parse(files.read(uri, name, limit), name or "The artifact's file")


def parse(data: bytes, name: str) -> Any:
    """The content of JSON text in UTF-8.

    Raises:
      PayloadError: The text is not valid JSON.
    """
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError) as error:
        raise PayloadError(f"{name} is not valid JSON.") from error
