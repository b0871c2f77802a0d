"""`doctor`: shows what is configured, found and missing, and how to fix it."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from datetime import date
from importlib import metadata
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from include.tfx_airflow.airflow_side import machines, mlmd_connection, tfx_environment
from include.tfx_airflow.commands import beam_reach, dag_needs
from include.tfx_airflow.contract import python_support, wire
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import MlmdError, SettingsError
from include.tfx_airflow.node_process import process, server_client
from include.tfx_airflow.settings import SECTION, Settings, read_settings

_GOOD, _BAD, _NOTE, _WARNING = "ok  ", "BAD ", "    ", "!   "


def main() -> int:
    """Prints the findings; returns 1 if something that runs need is missing."""
    lines = list(_findings(read_settings()))
    print("\n".join(lines))
    return 1 if any(line.startswith(_BAD) for line in lines) else 0


def _findings(settings: Settings) -> list[str]:
    lines = [f"{_GOOD}Airflow {metadata.version('apache-airflow')}, bundle {BUNDLE_ROOT}"]
    for field in dataclasses.fields(settings):
        lines.append(f"{_NOTE}[{SECTION}] {field.name} = {getattr(settings, field.name)!r}")
    lines += _old_pythons(settings)
    lines.append(_writable(settings.home))
    lines += _machines(settings)
    return [*lines, *_tfx_side(settings), *_beam(settings), *_dags()]


def _old_pythons(settings: Settings) -> list[str]:
    """Interpreters that get no security fixes any more; nodes run on them all the same."""
    tfx = (
        tfx_environment.versions(settings.python)["python"].removeprefix("python") if settings.python else ""
    )
    newer = {
        "Airflow": "Airflow runs on Python 3.10 to 3.13: 'make clean setup' takes the first of them that is on PATH",
        "TFX": "TFX 1.21 runs on Python 3.11 to 3.13, where glibc is 2.39 or newer: 'TFX=auto make setup'",
    }
    pythons = {"Airflow": f"{sys.version_info.major}.{sys.version_info.minor}", "TFX": tfx}
    return [
        f"{_WARNING}{name} runs on Python {version}, which has had no security fixes since {month}; {newer[name]}"
        for name, version in pythons.items()
        if (month := python_support.ended(version, date.today()))
    ]


def _beam(settings: Settings) -> list[str]:
    return [f"{_mark(good)}{text}" for good, text in beam_reach.findings(settings)]


def _mark(good: bool | None) -> str:
    return _NOTE if good is None else _GOOD if good else _BAD


def _dags() -> list[str]:
    """Missing pools and Connections: a task that names one waits forever, or fails."""
    try:
        return [f"{_mark(good)}{text}" for good, text in dag_needs.findings()]
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0]
        return [f"{_BAD}Airflow's database cannot be read ({reason}); run 'airflow db migrate'."]


def _tfx_side(settings: Settings) -> list[str]:
    lines: list[str] = []
    try:
        python = settings.interpreter()
    except SettingsError as error:
        return [f"{_BAD}{error}"]
    try:
        address = mlmd_connection.address(settings)
    except MlmdError as error:
        return [*lines, f"{_BAD}{error}"]
    done = process.ask(settings, "doctor", question=address, timeout=300)
    if done.returncode:
        return [*lines, f"{_BAD}{python} cannot run the TFX side:\n{process.last_lines(done)}"]
    lines += [f"{_GOOD if good else _BAD}{text}" for good, text in json.loads(done.stdout)]
    return [*lines, *_node_server(settings)]


def _node_server(settings: Settings) -> list[str]:
    """The server's state; no server is not a fault, since new processes do its work."""
    if not settings.node_server:
        return [f"{_NOTE}node server: disabled"]
    try:
        status = server_client.ask(settings, process.child_environment(settings), "status")
    except (wire.WireError, OSError) as error:
        return [f"{_BAD}node server cannot be used, so each node is a new process: {error}"]
    if status is None:
        return [f"{_GOOD}node server: not running; the first node starts it"]
    if not status:
        return [f"{_GOOD}node server: importing TFX"]
    end = (
        f"stops after {status['idle_timeout']:.0f} s without a node"
        if status["idle_timeout"]
        else "never stops"
    )
    lines = [
        f"{_GOOD}node server {status['pid']}: {status['megabytes']} MB, up {status['seconds']:.0f} s, {end}; "
        f"{status['served']} served, {len(status['running'])} of {status['slots']} running, "
        f"{status['waiting']} waiting"
    ]
    for child in status["running"]:
        lines.append(
            f"{_NOTE}  {child['pid']} {child['label']}: {child['megabytes']} MB, {child['seconds']:.0f} s"
        )
    return lines


def _machines(settings: Settings) -> list[str]:
    """Where tasks run on several machines: whether `home` is the folder that the DAG processor works with."""
    found = machines.executors()
    if not found:
        return []
    try:
        machines.check_home(settings, "pipelines keep files there")
    except SettingsError as error:
        return [f"{_BAD}{error}"]
    return [f"{_GOOD}{', '.join(found)}: {settings.home} is the DAG processor's folder"]


def _writable(home: str) -> str:
    folder = Path(home)
    while not folder.exists():
        folder = folder.parent
    if os.access(folder, os.W_OK):
        return f"{_GOOD}{home} is writable"
    return f"{_BAD}{home} is not writable; set [{SECTION}] home to a folder that this user can write to."
