"""The evaluation diff: one computation for the page, its JSON, the command line and tasks."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

from mlmd_panel.errors import NotFound, PanelError, PayloadError
from mlmd_panel.evaluation import evaluated, verdicts
from mlmd_panel.evaluation.baseline import OWN, Chosen
from mlmd_panel.evaluation.changes.between import between
from mlmd_panel.evaluation.changes.causes import Causes, causes
from mlmd_panel.evaluation.changes.changed import Changes
from mlmd_panel.evaluation.changes.code_lines import NoRepository, with_lines
from mlmd_panel.evaluation.comparability import NOT_COMPARABLE, Comparability, comparability, missing_link
from mlmd_panel.evaluation.compare import LEVEL, OVERALL, Comparison, Method, compare
from mlmd_panel.evaluation.effects import MIN_EXAMPLES
from mlmd_panel.evaluation.evaluated import Evaluated
from mlmd_panel.evaluation.kept import Kept
from mlmd_panel.evaluation.key_metrics import default_names
from mlmd_panel.evaluation.row import Row
from mlmd_panel.evaluation.sentence import sentence
from mlmd_panel.evaluation.values import names
from mlmd_panel.files.allowed import Files
from mlmd_panel.files.repository import Repository
from mlmd_panel.store.records import RunDetail
from mlmd_panel.store.run_summaries import RunSummary
from mlmd_panel.store.store import Store

EVERY_METRIC = "*"
Code = Repository | NoRepository | None


@dataclasses.dataclass(frozen=True)
class Options:
    """What is compared, and how changes are judged.

    Attributes:
      level: Of the confidence intervals before correction.
      scope: What is corrected for many comparisons together, one of `compare.SCOPES`.
      metrics: Names of the metrics; () for those with thresholds, or the usual ones; `*` for all.
      min_examples: With fewer on either side nothing is said of a change.
      changes: Also what changed between the runs: data, code, parameters and the like.
    """

    level: float = LEVEL
    scope: str = OVERALL
    metrics: tuple[str, ...] = ()
    min_examples: int = MIN_EXAMPLES
    changes: bool = True


@dataclasses.dataclass(frozen=True)
class Diff:
    """A candidate beside a baseline.

    Attributes:
      baseline: Run or branch; of its own baseline the candidate's.
      candidate: Run or branch.
      against: How the baseline was chosen, one of `baseline.KINDS`.
      sentence: What was found, in words.
      outcome: worse, suspect, better, unchanged, inconclusive or not comparable.
      primary: The metric on all examples that the sentence begins with; None if there is none.
      comparability: Whether the two can be compared.
      comparison: All rows, ranked.
      available: Names of all metrics of the two.
      unknown: Names asked for that neither has.
      problems: Sentences about parts of the two evaluations that cannot be read.
      changes: What changed between the two runs; None if that was not asked for.
      causes: What the two runs can tell of causes; None without changes.
    """

    baseline: RunSummary
    candidate: RunSummary
    against: str
    sentence: str
    outcome: str
    primary: Row | None
    comparability: Comparability
    comparison: Comparison
    available: tuple[str, ...]
    unknown: tuple[str, ...]
    problems: tuple[str, ...]
    changes: Changes | None = None
    causes: Causes | None = None


# A row is about 300 bytes; what is large is read again.
MAX_KEPT_ROWS = 30_000
_kept: Kept[Diff] = Kept(MAX_KEPT_ROWS, lambda one: len(one.comparison.rows) + 1)


def diff(
    store: Store,
    files: Files,
    dags: frozenset[str] | None,
    baseline: Chosen,
    candidate: RunSummary,
    options: Options = Options(),  # noqa: B008 - frozen
    code: Code = None,
) -> Diff:
    """Compares the evaluation of a run or branch with that of its baseline.

    Args:
      store: The store; both runs come from it, and the user may see them.
      files: Where artifact files are read from.
      dags: DAGs the user may read; None means all.
      baseline: From `baseline.choose`.
      candidate: Run or branch.
      options: What is compared, and how.
      code: Where the lines of code are, for those who may read it; None leaves them out.

    Raises:
      NotFound: There is no baseline, or one of the two has no evaluation.
      PayloadError: An evaluation is gone or cannot be read.
    """
    (found,) = diffs(store, files, dags, baseline, [candidate], options, code)
    if isinstance(found, PanelError):
        raise found
    return found


def diffs(
    store: Store,
    files: Files,
    dags: frozenset[str] | None,
    baseline: Chosen,
    candidates: Sequence[RunSummary],
    options: Options,
    code: Code = None,
) -> list[Diff | PanelError]:
    """Compares several candidates with one baseline; of one that cannot be compared the error takes its place.

    Raises:
      NotFound: There is no baseline, or it has no evaluation.
      PayloadError: The baseline's evaluation is gone or cannot be read.
    """
    if baseline.run is None:
        raise NotFound(baseline.note or "There is no baseline to compare with.")
    keys = [_key(files, dags, baseline, candidate, options) for candidate in candidates]
    known = [_kept.get(key) for key in keys]
    new = [candidate for candidate, kept in zip(candidates, known, strict=True) if kept is None]
    reader = _Reader(store, files, [baseline.run, *new])
    found: list[Diff | PanelError] = []
    for candidate, key, kept in zip(candidates, keys, known, strict=True):
        if kept is None:
            base = None if baseline.against == OWN else reader.read(baseline.run)
            try:
                read = reader.read(candidate)
                kept = of_two(base or evaluated.baseline_of(read), read, baseline.against, options)
                if options.changes and baseline.against != OWN:
                    kept = _with_changes(kept, between(store, files, dags, baseline.run, candidate))
            except (NotFound, PayloadError) as error:
                # Its traceback holds the whole reader, and refers to this list.
                found.append(error.with_traceback(None))
                continue
            _kept.put(key, kept)
        # Not kept: who may read the code, and what the repository has, is not known by the key.
        changes = with_lines(kept.changes, code) if kept.changes and code else kept.changes
        base_run = candidate if baseline.against == OWN else baseline.run
        found.append(dataclasses.replace(kept, baseline=base_run, candidate=candidate, changes=changes))
    return found


class _Reader:
    """Reads the evaluations of a request, each once."""

    def __init__(self, store: Store, files: Files, rows: Sequence[RunSummary]) -> None:
        self._store, self._files, self._rows = store, files, rows
        self._read: dict[tuple[int, str], Evaluated] = {}

    def read(self, row: RunSummary) -> Evaluated:
        key = row.run.id, row.name
        if key not in self._read:
            self._read[key] = evaluated.of(row, lambda: self._details[row.run.id], self._files)
        return self._read[key]

    @cached_property
    def _details(self) -> dict[int, RunDetail]:
        runs = {row.run.id: row.run for row in self._rows}
        made = [row.evaluation.id for row in self._rows if row.evaluation]
        details = self._store.run_makers(list(runs.values()), made, evaluated.PROPERTIES)
        return dict(zip(runs, details, strict=True))


def _with_changes(found: Diff, changes: Changes) -> Diff:
    return dataclasses.replace(found, changes=changes, causes=causes(changes))


def _key(
    files: Files, dags: frozenset[str] | None, baseline: Chosen, candidate: RunSummary, options: Options
) -> tuple:
    sides = []
    for row in (baseline.run, candidate):
        found = row.evaluation if row else None
        sides.append((row and (row.run.id, row.name), found and (found.id, found.updated, found.uri)))
    # Users who may not see the same runs may be told different things of what changed.
    return files, dags, baseline.against, *sides, options


def of_two(baseline: Evaluated, candidate: Evaluated, against: str, options: Options) -> Diff:
    """Compares two evaluations that are read."""
    named = names(baseline, candidate)
    available = tuple(named.of_key.values())
    usual = default_names([baseline.payload, candidate.payload], named.of_key)
    if EVERY_METRIC in options.metrics:
        chosen: tuple[str, ...] = available
    else:
        chosen = tuple(name for name in options.metrics if name in available)
        chosen = chosen or tuple(usual) or available[:5]
    method = Method(options.level, options.scope, options.min_examples)
    found = compare(baseline, candidate, frozenset(chosen), method)
    judged = comparability(baseline, candidate, found)
    primary = _primary(found, [*(name for name in usual if name in chosen), *chosen])
    data = evaluated.described_examples(candidate)
    return Diff(
        baseline.run,
        candidate.run,
        against,
        sentence(found, primary, data, missing_link(baseline, candidate)),
        _outcome(found, judged, primary),
        primary,
        judged,
        found,
        available,
        tuple(name for name in options.metrics if name not in available and name != EVERY_METRIC),
        tuple(dict.fromkeys([*baseline.payload.problems, *candidate.payload.problems])),
    )


def _primary(comparison: Comparison, wanted: Sequence[str]) -> Row | None:
    overall: dict[str, Any] = {row.metric: row for row in comparison.overall}
    found = [overall[name] for name in wanted if name in overall]
    return next((row for row in found if row.total is not None), next(iter(found), None))


def _outcome(comparison: Comparison, judged: Comparability, primary: Row | None) -> str:
    """What the comparison comes to: the gravest verdict; of none the one on all examples."""
    if judged.verdict == NOT_COMPARABLE:
        return NOT_COMPARABLE
    for verdict in (verdicts.WORSE, verdicts.SUSPECT):
        if comparison.counts[verdict]:
            return verdict
    found = {row.verdict for row in comparison.overall} or {one.verdict for one in comparison.rows.outlines()}
    if found == {verdicts.UNCHANGED}:
        return verdicts.UNCHANGED
    if primary is not None and primary.verdict in (verdicts.BETTER, verdicts.UNCHANGED):
        return primary.verdict
    return verdicts.INCONCLUSIVE
