"""`adopt`: what becomes of files that were written for TFX's Airflow runner, and the DAG files to write for them."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path

# Private, as in `airflow_variables`.
from airflow._shared.secrets_masker import redact

from include.tfx_airflow.airflow_side import adopt, legacy_arguments, legacy_environment
from include.tfx_airflow.airflow_side.compiled import Compiled, load_file
from include.tfx_airflow.airflow_side.legacy_folder import LegacyFiles, shown
from include.tfx_airflow.contract import fingerprint, legacy
from include.tfx_airflow.contract.bundle import BUNDLE_ROOT
from include.tfx_airflow.contract.errors import NoDagError, TfxAirflowError
from include.tfx_airflow.contract.legacy import LegacyDag, LegacyFile
from include.tfx_airflow.settings import Settings, read_settings


@dataclasses.dataclass
class Report:
    """What is said of one file.

    Attributes:
      file: The file.
      lines: The text.
      dag_ids: Those of its DAGs.
      ignore: Names that `adopt` must be told to do without.
      good: Whether the file can be adopted, be it with `ignore`.
      is_helper: Whether it makes no DAG, in a folder where others may.
    """

    file: LegacyFile
    lines: list[str]
    dag_ids: list[str] = dataclasses.field(default_factory=list)
    ignore: set[str] = dataclasses.field(default_factory=set)
    good: bool = True
    is_helper: bool = False


def main(path: str, working_folder: str = "") -> int:
    """Compiles the files of a path, which may be one, and prints the report; returns 1 if one cannot be adopted.

    Args:
      path: Of the file or folder, from the current directory.
      working_folder: As for `adopt`, from the current directory; "" for none.
    """
    settings = read_settings()
    work = str(Path(working_folder).absolute()) if working_folder else ""
    files = LegacyFiles(Path(path).absolute(), working_folder=work)
    for note in files.notes:
        print(f"  note  {note}\n")
    reports = []
    for file in files:
        reports.append(of_file(file, settings, files.is_folder))
        if reports[-1].is_helper:
            files.add_importers_of(file)
    twice = adopt.same_ids((report.file.path, dag_id) for report in reports for dag_id in report.dag_ids)
    for report in reports:
        for dag_id in sorted(twice.keys() & report.dag_ids):
            report.good = False
            report.lines.append(f"  NO    {twice[dag_id]}")
        print("\n".join(report.lines) + "\n")
    helpers = [report for report in reports if report.is_helper]
    good = [report for report in reports if report.good and not report.is_helper]
    print(f"{len(good)} of {len(reports) - len(helpers)} files can be adopted.")
    for report, name in zip(good, _names([report.file for report in good]), strict=True):
        print("\n" + "\n".join(_dag_file(name, report)))
    return 0 if good and len(good) == len(reports) - len(helpers) else 1


def of_file(file: LegacyFile, settings: Settings, of_folder: bool = False) -> Report:
    """Compiles one file and reports on it; of a folder, it may be a helper of others."""
    report = Report(file, [shown(file.path)])
    try:
        found = load_file(file, settings, {}, force=True)
    except TfxAirflowError as error:
        if of_folder and isinstance(error, NoDagError):
            report.is_helper = True
            report.lines.append(f"  note  {error}")
            return report
        report.good = False
        report.lines += [f"  NO    {line}" for line in str(error).splitlines()]
        return report
    for compiled in found:
        _add_dag(report, compiled, settings)
    names = found[0].manifest.airflow_variables
    if names:
        report.lines.append(
            f"  reads the Airflow Variables {', '.join(names)}; it is compiled again when they change"
        )
    return report


def _add_dag(report: Report, compiled: Compiled, settings: Settings) -> None:
    manifest = compiled.manifest
    assert manifest.legacy
    dag = manifest.legacy.with_texts(lambda text: fingerprint.concrete(text, settings.roots()))
    mapped = legacy_arguments.mapped(dag)
    report.dag_ids.append(dag.dag_id)
    place = f", line {dag.line}" if dag.line else ""
    report.lines.append(f"  DAG {dag.dag_id!r}{place}")
    report.lines.append(f"  nodes {', '.join(node.id for node in manifest.nodes)}")
    for parameter in manifest.runtime_parameters:
        if parameter.name not in dag.templates:
            report.lines.append(f"  Param {parameter.name} = {_text(parameter.default, parameter.name)}")
    report.lines += [f"  every run  {name} = {text}" for name, text in dag.templates.items()]
    report.lines += [f"  ok    {line}" for line in _kept(dag, mapped)]
    if variables := legacy_environment.for_nodes(dag, ()):
        report.lines.append(f"  ok    its nodes have {', '.join(variables)} as the file sets them")
    if folders := [*dag.first, *dag.folders]:
        report.lines.append(f"  ok    its nodes import from {', '.join(map(shown, folders))} as well")
    notes = [*mapped.notes, *legacy_environment.notes(dag, manifest.variables, ())]
    report.lines += [f"  note  {note}" for note in notes]
    report.lines += [f"  NO    {sentence}" for sentence in mapped.refused]
    report.ignore |= set(mapped.refused_names)
    try:  # as the DAG file to write does; the notes are above
        adopt.dag_of(
            dataclasses.replace(compiled, found=True), None, set(mapped.refused_names), {}, settings.roots()
        )
    except TfxAirflowError as error:
        report.good = False
        report.lines += [f"  NO    {line}" for line in str(error).splitlines()]


def _kept(dag: LegacyDag, mapped: legacy_arguments.Mapped) -> list[str]:
    lines = []
    for name, value in dag.config.items():
        new = mapped.moved.get(name, name)
        if name in mapped.refused_names or new not in mapped.arguments or name == "doc_md":
            continue
        if name == "default_args":
            given = mapped.arguments[name]
            lines += [f"default_args[{key!r}] = {_text(one, key)}" for key, one in given.items()]
        elif new == "schedule":
            lines.append(
                f"{name} = {_text(legacy.live(value), name)} becomes schedule = {_text(mapped.arguments[new], new)}"
            )
        else:
            lines.append(
                f"{name} = {_text(legacy.live(value), name)}" + (f" becomes {new}" if new != name else "")
            )
    return lines


def _text(value: object, name: str) -> str:
    """A value without what Airflow masks."""
    if callable(value):
        return f"{value.__module__}:{getattr(value, '__qualname__', value)}"
    shown = redact(value, name)
    return str(shown) if not isinstance(shown, str) else repr(shown)


def _names(files: list[LegacyFile]) -> list[str]:
    """Names of the DAG files to write, none of which is that of another or of one that is there."""
    paths = [Path(file.path) for file in files]
    names: list[str] = []
    for file, path in zip(files, paths, strict=True):
        stem = path.stem
        if [other.stem for other in paths].count(stem) > 1:
            stem = "_".join(path.relative_to(file.folders[0]).with_suffix("").parts)
        numbered = (f"adopted_{stem}_{number}" for number in itertools.count(2))
        tries = (f"dags/{name}.py" for name in itertools.chain([stem, f"adopted_{stem}"], numbered))
        names.append(next(name for name in tries if name not in names and not (BUNDLE_ROOT / name).exists()))
    return names


def _dag_file(name: str, report: Report) -> list[str]:
    path = shown(report.file.path)
    own = str(Path(report.file.path).parent)
    folders = [shown(folder) for folder in report.file.folders if folder != own]
    more = f", folders={json.dumps(folders, ensure_ascii=False)}" if folders else ""
    more += f", ignore={sorted(report.ignore)!r}" if report.ignore else ""
    if report.file.working_folder:
        more += f", working_folder={json.dumps(shown(report.file.working_folder), ensure_ascii=False)}"
    return [
        f"Write {name}:",
        f'    """The DAGs of {path}, which was written for TFX\'s Airflow runner."""',
        "",
        "    from include.tfx_airflow import adopt",
        "",
        f'    dags = adopt("{path}"{more})',
    ]
