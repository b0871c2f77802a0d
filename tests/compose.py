"""docker-compose.yaml, alone or with the file for workers, as Docker Compose reads it: values filled in, services in the
order of their start."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from tests.bundle import ROOT

FILE = ROOT / "docker-compose.yaml"
WORKERS = ROOT / "docker-compose.workers.yaml"
_VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>\w+)(?::(?P<sign>[-?])(?P<rest>[^}]*))?\}|)")


def read() -> dict[str, Any]:
    """The file with its anchors resolved and its variables as they stand."""
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


def read_with_workers() -> dict[str, Any]:
    """Both files: the second changes and extends what the first says."""
    base, over = read(), yaml.safe_load(WORKERS.read_text(encoding="utf-8"))
    for name, service in over["services"].items():
        if extended := service.pop("extends", None):
            assert extended["file"] == FILE.name
            over["services"][name] = _merged(base["services"][extended["service"]], service)
    return _merged(base, over)


def _merged(base: Any, over: Any) -> Any:
    """Mappings by key; of anything else, such as a command, the later one."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {
            key: _merged(base[key], over[key])
            if key in base and key in over
            else (over if key in over else base)[key]
            for key in {**base, **over}
        }
    return over


def walk(value: Any, change: Callable[[str], str]) -> Any:
    """A copy with every text, but no key, changed."""
    if isinstance(value, dict):
        return {key: walk(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [walk(item, change) for item in value]
    return change(value) if isinstance(value, str) else value


def fill_in(text: str, variables: Mapping[str, str]) -> str:
    """Fills in `${NAME}`, `${NAME:-default}`, `${NAME:?message}` and `$$`.

    Raises:
      LookupError: A variable is missing or empty and has no default; with the file's own message.
      ValueError: A `$` that is none of these.
    """

    def value(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        if not match["name"]:
            raise ValueError(f"a lone $ in {text!r}; write $$")
        found = variables.get(match["name"], "")
        if found or match["sign"] is None:
            return found
        if match["sign"] == "?":
            raise LookupError(f"{match['name']}: {match['rest']}")
        return match["rest"]

    return _VARIABLE.sub(value, text)


def variables(value: Any) -> list[tuple[str, str | None]]:
    """Each variable of a part of the file, with `-`, `?` or nothing after its colon."""
    found: list[tuple[str, str | None]] = []

    def look(text: str) -> str:
        found.extend((match["name"], match["sign"]) for match in _VARIABLE.finditer(text) if match["name"])
        return text

    walk(value, look)
    return found


def start_order(services: Mapping[str, Any]) -> list[list[str]]:
    """Names of the services in groups; those of a group need only earlier groups.

    Raises:
      ValueError: Services wait for each other.
    """
    groups: list[list[str]] = []
    while len(started := {name for group in groups for name in group}) < len(services):
        group = [
            name
            for name, service in services.items()
            if name not in started and set(service.get("depends_on", {})) <= started
        ]
        if not group:
            raise ValueError(f"these wait for each other: {sorted(set(services) - started)}")
        groups.append(group)
    return groups
