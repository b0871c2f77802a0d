"""`adopt`: the DAGs of a file that was written for `tfx.orchestration.airflow`, without a change to it."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from airflow.sdk import DAG

from include.tfx_airflow.airflow_side import legacy_arguments, legacy_environment, legacy_loading, machines
from include.tfx_airflow.airflow_side.compiled import Compiled, Source
from include.tfx_airflow.airflow_side.config import AirflowPipelineConfig
from include.tfx_airflow.airflow_side.dag import AirflowDagRunner
from include.tfx_airflow.airflow_side.legacy_folder import LegacyFiles, shown
from include.tfx_airflow.contract import fingerprint
from include.tfx_airflow.contract.errors import ConfigError, TfxAirflowError
from include.tfx_airflow.contract.legacy import LegacyDag
from include.tfx_airflow.settings import read_settings

log = logging.getLogger(__name__)


def adopt(
    path: str | os.PathLike[str],
    *,
    configs: Mapping[str, AirflowPipelineConfig | Mapping[str, Any]] | None = None,
    environment: Mapping[str, str] | None = None,
    ignore: Collection[str] = (),
    folders: Collection[str | os.PathLike[str]] = (),
    working_folder: str | os.PathLike[str] = "",
) -> list[DAG]:
    """Makes the DAGs of a file, or of all files of a folder, that were written for TFX's Airflow runner.

    The file is executed once in the TFX interpreter, without Airflow, and again when something changes that it was made
    from: its content, what it imports and reads, environment variables, Airflow Variables.

    Args:
      path: Of the file or folder: absolute, or relative to the bundle's root. Of a folder, the files are executed that
        name TFX's runner, and those that import one which does so without making a DAG. Others are left alone; what they
        hold may be imported.
      configs: What to add to a DAG, or to replace in it, by DAG id: its `airflow_dag_config` takes precedence over that
        of the file.
      environment: Environment variables for the files and for all nodes of their DAGs. A node has these even where the
        file sets another value.
      ignore: Names of what the files ask for and Airflow 3 cannot do, such as `sla`, to do without it.
      folders: More folders from which the files import, written like `path`. Each file's own folder, and a folder that is
        the `path`, are such already.
      working_folder: The working directory for the files and for all nodes of their DAGs, written like `path`; relative
        paths in them are meant from there. Airflow 2 had that in which its scheduler was started. The bundle's root if it
        is not given, and relative paths of TFX's components are then refused.

    Returns:
      The DAGs. Airflow finds them by itself; they need no variable.

    Raises:
      CompileError: The file cannot be executed here, makes no DAG, or its pipeline does not compile.
      ConfigError: There is no such file; it asks for what cannot be honoured; or `configs` does not fit the DAGs. Of a
        folder: a file cannot be adopted, all such files are named; none makes a DAG; or two make a DAG of one id.
      SettingsError: It is not compiled yet and there is no TFX interpreter.
    """
    settings = read_settings()
    machines.check_parse(settings)
    given = {key: str(value) for key, value in (environment or {}).items()}
    files = LegacyFiles(path, folders, working_folder)
    loaded = legacy_loading.load(str(path), files, settings, given)
    found = loaded.found
    own = {dag_id: AirflowPipelineConfig.of(config) for dag_id, config in (configs or {}).items()}
    known = [compiled.manifest.pipeline_name for compiled in found]
    unknown = sorted(set(own) - set(known))
    if unknown and not loaded.broken and not loaded.later:  # they may make it
        raise ConfigError(
            f"configs of adopt({str(path)!r}) names {unknown}; the DAGs there are {sorted(known)}."
        )
    if read := sorted(dag_id for dag_id, config in own.items() if config.compiled_from):
        raise ConfigError(
            f"configs of adopt({str(path)!r}) gives {read} a compiled_from, which is for pipeline functions: files that a legacy "
            "DAG file reads are noticed."
        )
    roots = settings.roots()
    dags = []
    for compiled in found:
        try:
            dags.append(dag_of(compiled, own.get(compiled.manifest.pipeline_name), ignore, given, roots))
        except ConfigError as error:
            if not files.is_folder:
                raise
            loaded.add_broken(_file(compiled), error)
    twice = same_ids((_file(compiled), compiled.manifest.pipeline_name) for compiled in found)
    if refusal := loaded.refusal(str(path), str(working_folder), twice.values()):
        raise ConfigError(refusal)
    return dags


def same_ids(dags: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Finds DAG ids that more than one file has.

    Args:
      dags: Of each DAG, the path of its file and its id.

    Returns:
      What to say of each such id, as a sentence.
    """
    paths: dict[str, list[str]] = {}
    for path, dag_id in dags:
        paths.setdefault(dag_id, []).append(shown(path))
    return {
        dag_id: f"DAG {dag_id!r} is made by {' and by '.join(made_by)}; Airflow would keep only one of them. Adopt only "
        "one of these files; or adopt each by itself, and give one of them another id: "
        f"configs={{{dag_id!r}: {{'airflow_dag_config': {{'dag_id': ...}}}}}}."
        for dag_id, made_by in paths.items()
        if len(made_by) > 1
    }


def _file(compiled: Compiled) -> str:
    assert compiled.source.file
    return compiled.source.file.path


def dag_of(
    compiled: Compiled,
    own: AirflowPipelineConfig | None,
    ignore: Collection[str],
    given: Mapping[str, str],
    roots: Mapping[str, str],
) -> DAG:
    """Makes the DAG of one pipeline of a file; its notes are logged if it was compiled just now.

    Args:
      compiled: The pipeline.
      own: What `adopt` is given for it in `configs`.
      ignore: As for `adopt`.
      given: The environment variables that `adopt` is given.
      roots: See `Settings.roots`.

    Raises:
      ConfigError: The file asks for what cannot be honoured, or Airflow does not take it.
    """
    assert compiled.manifest.legacy
    legacy = compiled.manifest.legacy.with_texts(lambda text: fingerprint.concrete(text, roots))
    own = own or AirflowPipelineConfig()
    mapped = legacy_arguments.mapped(legacy, ignore, own.airflow_dag_config)
    if mapped.refused:
        reasons = "".join(f"\n  {sentence}" for sentence in mapped.refused)
        raise ConfigError(
            f"{compiled.source.reference}, line {legacy.line}, DAG {legacy.dag_id!r} asks for what cannot be honoured:"
            f"{reasons}\nTo do without it, name it: adopt(..., ignore={sorted(mapped.refused_names)!r})."
        )
    if not compiled.found:
        for note in (*mapped.notes, *legacy_environment.notes(legacy, compiled.manifest.variables, given)):
            log.warning("%s, DAG %r: %s", compiled.source.reference, legacy.dag_id, note)
    config = dataclasses.replace(
        own,
        airflow_dag_config=mapped.arguments,
        runtime_parameters={**mapped.runtime_parameters(compiled.manifest), **own.runtime_parameters},
        computed_parameters={**mapped.templates, **own.computed_parameters},
    )
    source = _for_nodes(compiled.source, legacy, given)
    try:
        return AirflowDagRunner(config).dag(dataclasses.replace(compiled, source=source))
    except TfxAirflowError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{compiled.source.reference}, line {legacy.line}, DAG {legacy.dag_id!r} gives Airflow what it does not take: "
            f"{type(error).__name__}: {error} To replace it, give another value in adopt(..., "
            f"configs={{{legacy.dag_id!r}: {{'airflow_dag_config': {{...}}}}}})."
        ) from error


def _for_nodes(source: Source, legacy: LegacyDag, given: Mapping[str, str]) -> Source:
    """Adds what executing the file changes in its process: under TFX's runner that was the node's process, too."""
    assert source.file
    folders = tuple(dict.fromkeys((*source.file.folders, *legacy.folders)))
    return dataclasses.replace(
        source,
        file=dataclasses.replace(source.file, first=legacy.first, folders=folders),
        environment={**source.environment, **legacy_environment.for_nodes(legacy, given)},
    )
