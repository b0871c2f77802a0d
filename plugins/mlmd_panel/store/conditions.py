"""Turns filters into SQL conditions on rows of Artifact, Execution or Context."""

from __future__ import annotations

import math
from typing import Any

import sqlalchemy as sa

from mlmd_panel.store import display_names, properties
from mlmd_panel.store.filters import ArtifactFilter, ContextFilter, ExecutionFilter, PropertyFilter
from mlmd_panel.store.records import ARTIFACT_STATES, EXECUTION_STATES
from mlmd_panel.store.tables import Tables, plain
from mlmd_panel.store.text_encoding import Letters

_COMPARED = {
    "=": lambda column, value: column == value,
    "!=": lambda column, value: column == value,
    "<": lambda column, value: column < value,
    ">": lambda column, value: column > value,
    "<=": lambda column, value: column <= value,
    ">=": lambda column, value: column >= value,
}
# The largest value of an integer column; PostgreSQL refuses to compare the column with larger ones.
_LARGEST, _LARGEST_LONG = 2**31 - 1, 2**63 - 1


def of_artifacts(
    wanted: ArtifactFilter, tables: Tables, letters: Letters, types: dict[int, str], displayed: bool
) -> list[Any]:
    """Conditions of a filter that depend on a row and its properties.

    Args:
      types: Names of the artifact types by id.
      displayed: Some artifacts have display names.
    """
    row = tables.artifact
    found = _common(row, row.c.state, ARTIFACT_STATES, wanted)
    if wanted.type:
        found.append(plain(row.c.type_id, [id_ for id_, name in types.items() if name == wanted.type]))
    if wanted.uri:
        found.append(row.c.uri.like(letters.pattern(wanted.uri, before=""), escape="!"))
    if wanted.text:
        kept = tables.artifact_property if displayed else None
        found.append(_text(wanted.text, row, (row.c.name, row.c.uri), types, letters, kept))
    for one in wanted.properties:
        kept = tables.artifact_property
        mine = sa.select(kept.c.artifact_id).where(kept.c.artifact_id == row.c.id)
        found.append(mine.where(kept.c.name == letters.write(one.name), _value(kept, one, letters)).exists())
    return found


def of_executions(wanted: ExecutionFilter, tables: Tables, types: dict[int, str]) -> list[Any]:
    """Conditions of a filter that depend on a row, without its text.

    Args:
      types: Names of the execution types by id.
    """
    row = tables.execution
    found = _common(row, row.c.last_known_state, EXECUTION_STATES, wanted)
    if wanted.type:
        ids = [id_ for id_, name in types.items() if wanted.type in (name, name.rpartition(".")[2])]
        found.append(plain(row.c.type_id, ids))
    return found


def of_contexts(
    wanted: ContextFilter, tables: Tables, letters: Letters, types: dict[int, str], displayed: bool
) -> list[Any]:
    """Conditions of a filter that depend on a row and its properties.

    Args:
      types: Names of the context types that are wanted, by id.
      displayed: Some contexts have display names.
    """
    row = tables.context
    found: list[Any] = [plain(row.c.type_id, list(types))]
    if wanted.text:
        kept = tables.context_property if displayed else None
        found.append(_text(wanted.text, row, (row.c.name,), types, letters, kept))
    return found


def _text(
    text: str,
    row: sa.Table,
    columns: tuple[sa.Column, ...],
    types: dict[int, str],
    letters: Letters,
    kept: sa.Table | None,
) -> Any:
    """The text is in one of the columns, the type's name or the display name, or is the id."""
    parts: list[sa.ColumnElement[bool]] = [
        sa.func.lower(column).like(letters.pattern(text).lower(), escape="!") for column in columns
    ]
    parts.append(
        row.c.type_id.in_([id_ for id_, name in types.items() if text.casefold() in name.casefold()])
    )
    if kept is not None:
        owner = next(iter(kept.c))
        named = sa.select(owner).where(owner == row.c.id, display_names.contains(kept, text, letters))
        parts.append(named.exists())
    return sa.or_(*parts, *_id_is(row, text))


def rare_artifacts(
    wanted: PropertyFilter, tables: Tables, letters: Letters, most: int
) -> sa.CompoundSelect | None:
    """Query for artifact ids by an indexed value; it returns more than `most` if they are not rare.

    None for comparisons that no index supports.
    """
    kept = tables.artifact_property
    if wanted.op in ("!=", "~"):
        return None
    # There is an index by name, is_custom_property and value for each kind of value except booleans.
    parts = [part for part in _parts(kept, wanted, letters) if part.left is not kept.c.bool_value]
    if len(parts) < len(_parts(kept, wanted, letters)):
        return None
    each = [
        sa.select(kept.c.artifact_id)
        .where(kept.c.name == letters.write(wanted.name), kept.c.is_custom_property.in_([False, True]), part)
        .limit(most + 1)
        .subquery()
        for part in parts
    ]
    return sa.union_all(*(sa.select(one.c.artifact_id) for one in each))


def _common(row: sa.Table, state: sa.Column, states: tuple[str, ...], wanted: Any) -> list[Any]:
    found: list[Any] = []
    if wanted.state:
        number = states.index(wanted.state)
        found.append(sa.or_(state == number, state.is_(None)) if number == 0 else state == number)
    # The + 0 keeps databases from using the index of times instead of the range of ids.
    created = row.c.create_time_since_epoch + 0
    if wanted.since is not None:
        found.append(created >= _bounded(wanted.since))
    if wanted.until is not None:
        found.append(created < _bounded(wanted.until))
    return found


def _bounded(number: int) -> int:
    return max(-_LARGEST_LONG, min(number, _LARGEST_LONG))


def _id_is(row: sa.Table, text: str) -> list[Any]:
    return [row.c.id == int(text)] if text.isascii() and text.isdigit() and int(text) <= _LARGEST else []


def _value(kept: sa.Table, wanted: PropertyFilter, letters: Letters) -> Any:
    if wanted.op == "~":
        return sa.and_(
            sa.func.lower(kept.c.string_value).like(letters.pattern(wanted.value).lower(), escape="!"),
            kept.c.string_value.not_like(properties.STRUCT + "%"),
        )
    found = sa.or_(*_parts(kept, wanted, letters))
    if wanted.op != "!=":
        return found
    # Comparing a NULL column is neither true nor false.
    return sa.func.coalesce(found, sa.false()) == sa.false()


def _parts(kept: sa.Table, wanted: PropertyFilter, letters: Letters) -> list[Any]:
    """Comparisons of one column with a value each; one of them must hold."""
    compare = _COMPARED[wanted.op]
    number = _number(wanted.value)
    equal = wanted.op in ("=", "!=")
    parts = []
    if number is not None:
        # A number that does not fit an integer column is compared as a double.
        fits = number == int(number) and abs(number) <= (
            _LARGEST if letters.dialect != "sqlite" else _LARGEST_LONG
        )
        parts.append(compare(kept.c.int_value, int(number) if fits else sa.literal(float(number), sa.Float)))
        parts.append(compare(kept.c.double_value, float(number)))
    if number is None or equal:
        parts.append(compare(kept.c.string_value, letters.write(wanted.value)))
    if equal:
        plain: list[Any] = [wanted.value] if number is None else [wanted.value, float(number)]
        if wanted.value.lower() in ("true", "false"):
            plain.append(wanted.value.lower() == "true")
            parts.append(compare(kept.c.bool_value, plain[-1]))
        parts += [kept.c.string_value == properties.encoded(value) for value in plain]
    return parts


def _number(text: str) -> int | float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    if not math.isfinite(number):
        return None
    try:
        return int(text)
    except ValueError:
        return number
