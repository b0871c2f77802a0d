"""Settings of the panel: section [mlmd_panel] of Airflow's configuration, or options of `python -m mlmd_panel`."""

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
    """Values of one deployment; the metadata of each field is its help text."""

    mlmd: str = _field(
        "",
        "SQLAlchemy URL of the ML Metadata store, such as `sqlite:////srv/mlmd/metadata.db`, "
        "`mysql://user@host/mlmd` or `postgresql://user@host/mlmd`.",
        repr=False,
    )
    mlmd_conn_id: str = _field(
        "",
        "In Airflow, without `mlmd`: the Connection of the store. Default: that of [tfx_airflow], or its SQLite file "
        "when it names none.",
    )
    roots: str = _field(
        "",
        "Places that artifacts are read from, separated by `,` or `:`: absolute folders, or prefixes such as "
        "`s3://bucket/prefix`. Default in Airflow: [tfx_airflow] home.",
    )
    max_bytes: int = _field(MAX_BYTES, "Largest file that is read, in bytes.")
    max_entries: int = _field(MAX_ENTRIES, "Files of one artifact that are listed.")
    title: str = _field("ML Metadata", "Name at the top of each page.")

    def root_list(self) -> tuple[str, ...]:
        """The places of `roots`; the colon of `s3://` separates nothing."""
        return tuple(root for part in re.split(r",|:(?!//)", self.roots) if (root := part.strip()))


def read_settings(value_of: Callable[[str], str | None]) -> Settings:
    """Makes Settings of texts.

    Args:
      value_of: Gives the text of a setting by its name; None or "" for its default.

    Raises:
      SettingsError: A value has the wrong type or size.
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
    return Settings(**values)  # type: ignore[arg-type] # each value has the type of its field, see above
