"""Settings of the panel, from [mlmd_panel] in Airflow's configuration or the options of `python -m mlmd_panel`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import TypeVar

from mlmd_panel.errors import SettingsError
from mlmd_panel.files.allowed import MAX_BYTES, MAX_ENTRIES

SECTION = "mlmd_panel"
_Value = TypeVar("_Value", str, int)


def _field(default: _Value, help_text: str, repr: bool = True) -> _Value:
    return dataclasses.field(default=default, metadata={"help": help_text}, repr=repr)


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings; the metadata of each field has its help text."""

    mlmd: str = _field(
        "",
        "SQLAlchemy URL of the ML Metadata store, such as `sqlite:////srv/mlmd/metadata.db`, "
        "`mysql://user@host/mlmd` or `postgresql://user@host/mlmd`.",
        repr=False,
    )
    mlmd_conn_id: str = _field(
        "",
        "In Airflow, if `mlmd` is empty: the Connection of the store. Default: that of [tfx_airflow], or its SQLite "
        "file if it names none.",
    )
    object_store_conn_id: str = _field(
        "",
        "In Airflow: the Connection with which artifacts in an object store are read. Default: that of [tfx_airflow].",
    )
    roots: str = _field(
        "",
        "Absolute folders, or prefixes such as `s3://bucket/prefix`, below which artifact files may be read, "
        "separated by `,` or `:`. Default in Airflow: [tfx_airflow] home.",
    )
    max_bytes: int = _field(MAX_BYTES, "Size of the largest file to read, in bytes.")
    max_entries: int = _field(MAX_ENTRIES, "Number of files to list per artifact.")
    repository: str = _field(
        "",
        "Absolute path of the bundle in a git checkout, or of a bare repository, from which the lines of code that "
        "changed between two runs are read. Default: the checkout that the panel itself is part of.",
    )
    title: str = _field("ML Metadata", "Name at the top of each page.")

    def root_list(self) -> tuple[str, ...]:
        """`roots` as a list; the colon in `s3://` is not a separator."""
        return tuple(root for part in re.split(r",|:(?!//)", self.roots) if (root := part.strip()))


def read_settings(value_of: Callable[[str], str | None]) -> Settings:
    """Parses settings.

    Args:
      value_of: Returns the text of a setting by its name; None or "" for the default.

    Raises:
      SettingsError: A value is not valid.
    """
    values: dict[str, object] = {}
    for field in dataclasses.fields(Settings):
        text = value_of(field.name)
        if not text:
            continue
        if type(field.default) is int:
            if not re.fullmatch(r"[0-9]{1,15}", text) or int(text) == 0:
                raise SettingsError(f"[{SECTION}] {field.name} = {text!r} is not a positive whole number.")
            values[field.name] = int(text)
        else:
            values[field.name] = text
    return Settings(**values)  # type: ignore[arg-type] # values have their fields' types, see above
