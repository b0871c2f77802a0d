"""Compares the evaluation of a DAG run inside a task, where Airflow's own database is out of reach."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from airflow.configuration import AIRFLOW_HOME, conf
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from sqlalchemy.engine import Engine

from mlmd_panel.errors import BadQuery, NotFound, PanelError, SettingsError, StoreEmpty
from mlmd_panel.evaluation import reports
from mlmd_panel.evaluation.baseline import OWN, choose
from mlmd_panel.evaluation.diff import Diff, Options, diff
from mlmd_panel.evaluation.named_baseline import choice, named_baseline
from mlmd_panel.files import account
from mlmd_panel.files.allowed import Files
from mlmd_panel.json_text import plain
from mlmd_panel.settings import SECTION, Settings, read_settings
from mlmd_panel.store import address
from mlmd_panel.store.engine import TASK_PATIENCE, make_engine
from mlmd_panel.store.run_references import only_branch
from mlmd_panel.store.run_summaries import RunSummary, summaries
from mlmd_panel.store.store import Store

ROWS = 10
# Some hundred runs. Reading those of years, which a task's process would do each time, takes seconds.
_RECENT = 20_000
# Outcomes beside those of `diff.Diff`.
NO_BASELINE, UNKNOWN = "no baseline", "unknown"


class NoEvaluation(PanelError):
    """The DAG run has no evaluation to compare."""

    status = 404
    headline = "No evaluation"


@dataclasses.dataclass(frozen=True)
class Asked:
    """What a task compares; see `airflow_tasks.EvaluationDiffOperator`."""

    dag_id: str
    run_id: str
    branch: str
    against: str
    options: Options


@dataclasses.dataclass(frozen=True)
class Report:
    """What a task says of it.

    Attributes:
      outcome: That of the diff; or that there is no baseline, or that the diff is unknown.
      sentence: What was found, in words.
      value: JSON, for XCom.
      markdown: For a message or a form.
      text: For a log.
    """

    outcome: str
    sentence: str
    value: dict[str, Any]
    markdown: str
    text: str

    @property
    def short(self) -> dict[str, Any]:
        """What the extra of an Asset event says."""
        return {
            name: self.value[name] for name in ("outcome", "sentence", "counts", "url") if name in self.value
        }


def report(asked: Asked) -> Report:
    """Compares the evaluation of a DAG run with its baseline.

    Raises:
      NoEvaluation: The run has none.
      PanelError: The comparison cannot be made.
    """
    settings = read_settings(lambda name: conf.get(SECTION, name, fallback=None))
    home = conf.get("tfx_airflow", "home", fallback=None) or Path(AIRFLOW_HOME) / "tfx"
    home = os.path.abspath(os.path.expanduser(home))
    name = settings.mlmd_conn_id or conf.get("tfx_airflow", "mlmd_conn_id", fallback=None)
    url = address.in_airflow(settings.mlmd, name or "", home, _connection)
    engine = make_engine(url, patience=TASK_PATIENCE)
    try:
        files = Files(
            settings.root_list() or (home,),
            settings.max_bytes,
            settings.max_entries,
            lambda protocol: _account(settings, protocol),
        )
        return _of_store(engine, files, asked, _RECENT)
    except StoreEmpty as error:
        # The run's nodes were all skipped, and none has run before. A store that the panel's own settings name is not
        # known to be the one that nodes write to: its address may be wrong.
        if settings.mlmd or settings.mlmd_conn_id:
            raise
        raise NoEvaluation(
            f"Run {asked.run_id!r} of DAG {asked.dag_id!r} has no evaluation. {error}"
        ) from None
    finally:
        engine.dispose()


def _of_store(engine: Engine, files: Files, asked: Asked, recent: int) -> Report:
    """The report by the newest runs, if candidate and baseline are among them; else by all."""
    store = Store(engine, recent=recent).for_request()
    if not _has_both(store, asked):
        store = Store(engine).for_request()
    return _report(store, files, asked)


def _has_both(store: Store, asked: Asked) -> bool:
    kind = choice(asked.against)
    if kind is None:  # a name that is the only one of its kind here may be one of several
        return False
    try:
        store.run_named(asked.dag_id, asked.run_id, None)
        chosen = choose(store, None, _candidate(store, asked), kind)
    except NotFound:
        return False
    except NoEvaluation:  # of a run that is there: earlier ones would not help
        return True
    # Where no blessed run is found, the one before stands for it.
    return chosen.run is not None and chosen.against == kind


def without_diff(outcome: str, sentence: str, url: str = "") -> Report:
    """The report when there is no diff, and why."""
    value = {"outcome": outcome, "sentence": sentence, "url": url}
    link = f"\n\n[The run]({url})" if url else ""
    return Report(outcome, sentence, value, f"**{reports.escaped(sentence)}**{link}\n", sentence)


def _report(store: Store, files: Files, asked: Asked) -> Report:
    candidate = _candidate(store, asked)
    chosen = named_baseline(store, None, asked.against, candidate)
    if chosen.run is None:
        return without_diff(NO_BASELINE, chosen.note, _url(f"runs/{candidate.run.id}"))
    try:
        found = diff(store, files, None, chosen, candidate, asked.options)
    except NotFound as error:
        if chosen.against != OWN:
            raise
        return without_diff(NO_BASELINE, str(error), _url(f"runs/{candidate.run.id}"))
    if found.unknown:
        raise BadQuery(
            f"The evaluations have no metric {', '.join(map(repr, found.unknown))}; they have "
            f"{', '.join(found.available)}."
        )
    return _of_diff(found, chosen.note, asked.options)


def _of_diff(found: Diff, note: str, options: Options) -> Report:
    url = compare_url(found, options)
    value = plain(reports.as_json(found, found.comparison.rows[:ROWS])) | {"note": note, "url": url}
    # XCom is no place for histograms; the page has them.
    value |= {"changes": reports.changed_in_short(found), "causes": None}
    after = f"\n{reports.escaped(note)}\n" if note else ""
    text = "\n".join(filter(None, [reports.as_text(found, rows=ROWS), note]))
    return Report(found.outcome, found.sentence, value, reports.as_markdown(found, ROWS, url) + after, text)


def compare_url(found: Diff, options: Options) -> str:
    """Address of the page that shows the diff, judged by the same options."""
    own = found.against == OWN
    query = {
        "candidate": found.candidate.run.id,
        "candidate_branch": found.candidate.name,
        "against": OWN if own else "",
        "baseline": "" if own else found.baseline.run.id,
        "baseline_branch": "" if own else found.baseline.name,
        "level": options.level,
        "scope": options.scope,
        "least": options.min_examples,
        # As they were asked for: their order decides which one the sentence is about, and all of them are one name.
        "metrics": options.metrics,
    }
    kept = {key: value for key, value in query.items() if value not in ("", ())}
    return _url(f"compare?{urlencode(kept, doseq=True)}")


def _candidate(store: Store, asked: Asked) -> RunSummary:
    try:
        run = store.run_named(asked.dag_id, asked.run_id, None)
    except NotFound as error:
        raise NoEvaluation(str(error)) from None
    (summary,) = summaries(store, [run])
    if not any(one.evaluation for one in summary.each):
        raise NoEvaluation(
            f"Run {asked.run_id!r} of DAG {asked.dag_id!r} has no evaluation: its Evaluator was skipped, has not "
            "finished, or there is none."
        )
    return only_branch(summary, asked.branch)


def _url(path: str) -> str:
    """Address below [api] base_url; without that only its path."""
    root = (conf.get("api", "base_url", fallback=None) or "/").rstrip("/")
    return f"{root}/mlmd/{path}"


def _account(settings: Settings, protocol: str) -> dict[str, Any]:
    name = settings.object_store_conn_id or conf.get("tfx_airflow", "object_store_conn_id", fallback=None)
    return account.driver_options(_connection(name) if name else None, protocol)


def _connection(name: str) -> Any:
    """A Connection; None if Airflow has none, or cannot tell."""
    try:
        return BaseHook.get_connection(name)
    except AirflowNotFoundException:
        return None
    except Exception as error:  # from any secrets backend; its text may contain secrets
        raise SettingsError(
            f"Connection {name!r} cannot be read: {type(error).__name__}. Make sure that tasks may read it."
        ) from None
