"""Executes a legacy DAG file and returns its pipelines, each with what Airflow's side is told of its DAG."""

from __future__ import annotations

import dataclasses
import importlib
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tfx.orchestration import pipeline as pipeline_lib

from include.tfx_airflow.contract import legacy
from include.tfx_airflow.contract.errors import NoDagError, UnsupportedNodeError
from include.tfx_airflow.contract.legacy import LegacyDag, LegacyFile
from include.tfx_airflow.tfx_side.legacy import (
    dropped_names,
    explain,
    import_folders,
    moments,
    no_dag,
    old_arguments,
    property_templates,
    store_address,
    users_frames,
    went_on,
)
from include.tfx_airflow.tfx_side.legacy.refused import FailedError, NeedsVariables, RefusedError
from include.tfx_airflow.tfx_side.legacy.runner import Made
from include.tfx_airflow.tfx_side.legacy.stand_ins import StandIns


def read(file: LegacyFile, stand_ins: StandIns) -> list[tuple[LegacyDag, pipeline_lib.Pipeline]]:
    """Executes the file.

    Args:
      file: The file.
      stand_ins: Those of the file, in place.

    Returns:
      Each DAG of the file with its pipeline, in the order in which it makes them.

    Raises:
      NeedsVariables: It asks for Variables that `file` does not have; make it again with them.
      NoDagError: It makes no DAG. As for Airflow 2, one that is made by a module it imports is its own only if one of its
        names stands for it.
      UnsupportedNodeError: It uses what cannot be had here, or makes two DAGs of one id.
      FailedError: It raises something else.
    """
    path, first, folder = list(sys.path), import_folders.before_library(), os.getcwd()
    refusals = len(RefusedError.made)
    try:
        module = importlib.import_module(file.module)
        _ask(stand_ins)
    except (Exception, SystemExit) as error:
        _ask(stand_ins)
        if "attempted relative import" in str(error) and explain.is_in_file(error, file):
            raise NoDagError(
                f"{explain.place(error, file)}it makes no DAG: it imports relatively, as a part of a package, which a DAG "
                "file is not. If others import it, adopt those."
            ) from None
        if sentence := explain.explain(error, file):
            raise UnsupportedNodeError(sentence) from None
        raise FailedError(explain.place(error, file), users_frames.text(error, file)) from error
    without = went_on.notes(RefusedError.made[refusals:], file)
    names = list(vars(module).values())
    found = [made for made in stand_ins.made if made.line or any(value is made.dag for value in names)]
    if not found:
        raise NoDagError(" ".join([no_dag.why(file.path), *without]))
    ids = Counter(made.dag.dag_id for made in found)
    twice = sorted(dag_id for dag_id, count in ids.items() if count > 1)
    if twice:
        raise UnsupportedNodeError(
            f"it makes more than one DAG of the id {twice[0]!r}; give each a name of its own."
        )
    if shared := _shared_component(stand_ins.made):
        raise UnsupportedNodeError(shared)
    for made in found:
        node_id, heir = dropped_names.dropped_component(made.pipeline)
        if node_id:
            raise UnsupportedNodeError(f"{node_id!r} of {made.dag.dag_id!r}: {heir}")
    new_first, new = import_folders.added(path, first)
    notes = (*moments.notes(Path(file.path).read_bytes()), *_moved(folder), *without)
    result: list[tuple[LegacyDag, pipeline_lib.Pipeline]] = []
    for made in found:
        dag = _told(made, module.__doc__ or "")
        of_file = () if result else notes  # its first DAG says them
        dag = dataclasses.replace(dag, first=new_first, folders=new, notes=(*dag.notes, *of_file))
        result.append((dag, made.pipeline))
    return result


def _shared_component(made: Iterable[Made]) -> str:
    """What to say of a component that is in two pipelines; TFX keeps it for the last one."""
    owners: dict[int, Made] = {}
    for one in made:
        for component in one.pipeline.components:
            other = owners.setdefault(id(component), one)
            if other.pipeline is not one.pipeline:
                return (
                    f"{component.id!r} is one object in the pipelines {other.dag.dag_id!r} and {one.dag.dag_id!r}, and TFX keeps "
                    "it for one of them: make it in a function that is called for each of them."
                )
    return ""


def _ask(stand_ins: StandIns) -> None:
    """Asks for Variables where the file has caught the question, as a bare `except:` does, and gone on."""
    if stand_ins.asked:
        raise NeedsVariables(stand_ins.asked)


def _moved(before: str) -> Iterator[str]:
    if (now := os.getcwd()) != before:
        yield (
            f"the file changes the working directory to {now!r}, which its nodes do not: adopt(..., working_folder={now!r}) "
            "does so for both."
        )


def _told(made: Made, doc: str) -> LegacyDag:
    config = legacy.plain_config(made.dag.config)
    if doc:
        config.setdefault("doc_md", doc)
    return LegacyDag(
        dag_id=made.dag.dag_id,
        line=made.line,
        config=config,
        templates=property_templates.take(made.pipeline),
        store=store_address.of(made.pipeline.metadata_connection_config),
        notes=tuple(old_arguments.notes(made.pipeline)),
        refused=dict(_refused(made)),
    )


def _refused(made: Made) -> Iterator[tuple[str, str]]:
    for name in ("default_component_configs", "component_config_overrides"):
        if given := getattr(made.config, name):
            yield (
                name,
                f"{name} = {given!r}: nodes run as Airflow tasks here, not through component launchers.",
            )
