"""A metric of a slice over many runs, with what it needs to be read right: intervals, gaps, and slow decay."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence

from mlmd_panel.evaluation import key_metrics, readings
from mlmd_panel.evaluation.decay import Decay, Measured, decay
from mlmd_panel.evaluation.differences import Estimate, estimate
from mlmd_panel.evaluation.direction import HIGHER, LOWER, direction
from mlmd_panel.evaluation.evidence import bounds_of
from mlmd_panel.evaluation.readings import Reading
from mlmd_panel.evaluation.table import ALL, chosen_names
from mlmd_panel.evaluation.trend_runs import TrendRun
from mlmd_panel.files.allowed import Files
from mlmd_panel.formats import number
from mlmd_panel.payloads.evaluation import slices
from mlmd_panel.payloads.evaluation.metric_names import metric_names
from mlmd_panel.payloads.evaluation.metrics import MetricKey
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics

MAX_LINES = 12
MAX_SLICES = 500


@dataclasses.dataclass(frozen=True)
class Point:
    """A run on a line.

    Attributes:
      run: The run or branch.
      value: The metric; None in a gap.
      lower: Lower end of its interval at 95 %; None without one.
      upper: Upper end.
      examples: Number of examples of the slice; None where they were not counted.
      gap: Why there is no value, else empty.
    """

    run: TrendRun
    value: float | None
    lower: float | None
    upper: float | None
    examples: float | None
    gap: str


@dataclasses.dataclass(frozen=True)
class Line:
    """A metric of a slice over the runs of a pipeline or of one of its branches.

    Attributes:
      pipeline: Its name.
      branch: Name of the branch, or empty.
      metric: Name of the metric.
      slice: Name of the slice.
      points: Oldest first.
      better: `higher`, `lower`, or None if not known.
      allowed: How much worse a change may be by the newest run's threshold; None without such.
    """

    pipeline: str
    branch: str
    metric: str
    slice: str
    points: tuple[Point, ...]
    better: str | None
    allowed: float | None

    @property
    def gaps(self) -> int:
        """Number of runs without a value."""
        return sum(point.value is None for point in self.points)


@dataclasses.dataclass(frozen=True)
class Trends:
    """Lines of several metrics, slices and pipelines.

    Attributes:
      lines: By metric, slice, pipeline and branch; up to MAX_LINES.
      left_out: Number of lines beyond.
      metrics: Names of the metrics shown.
      slices: Names of the slices shown.
      available_metrics: All that any of the runs has.
      available_slices: All that any of the runs has, up to MAX_SLICES.
      unknown_metrics: Requested names that none of these runs has.
      unknown_slices: The same of slices.
      decays: Slow decay of each line, by its place, where it can be told.
      undecided: Why it cannot be told from the pinned run on, by the line's place.
    """

    lines: tuple[Line, ...]
    left_out: int
    metrics: tuple[str, ...]
    slices: tuple[str, ...]
    available_metrics: tuple[str, ...]
    available_slices: tuple[str, ...]
    unknown_metrics: tuple[str, ...]
    unknown_slices: tuple[str, ...]
    decays: dict[int, Decay]
    undecided: dict[int, str]


def of_runs(
    files: Files,
    runs: Sequence[TrendRun],
    metrics: Sequence[str],
    slice_names: Sequence[str],
    pinned: int | None = None,
    allowed: float | None = None,
) -> Trends:
    """The lines that are asked for; without a choice the metrics with thresholds, or the usual ones, of all examples.

    Args:
      files: Where from.
      runs: Oldest first.
      metrics: Names.
      slice_names: Names.
      pinned: Run whose model is the baseline against slow decay; the oldest that was blessed otherwise.
      allowed: How much worse a change may be, in place of the thresholds.
    """
    shown_slices = chosen_names(slice_names) or (slices.OVERALL,)
    found = {
        run.summary.evaluation.id: readings.read(run.summary.evaluation, files, frozenset(shown_slices))
        for run in runs
        if run.summary.evaluation is not None
    }
    keys = {
        reading.own(key)
        for reading in found.values()
        for key in reading.keys
        if key.model != reading.baseline
    }
    of_key = metric_names(sorted(keys, key=lambda key: (key.is_diff, repr(key))))
    available = tuple(of_key.values())
    by_name = {name: key for key, name in of_key.items()}
    asked = chosen_names(metrics)
    unknown = tuple(name for name in asked if name not in by_name and name != ALL)
    names = available if ALL in asked else tuple(name for name in asked if name in by_name)
    names = names or tuple(of_key[key] for key in _usual(list(found.values()), keys))
    sliced = tuple(dict.fromkeys(name for reading in found.values() for name in reading.slices))
    groups: dict[tuple[str, str], list[TrendRun]] = {}
    for run in runs:
        groups.setdefault(run.line, []).append(run)
    wanted = [(name, slice_, line) for name in names for slice_ in shown_slices for line in groups]
    lines = tuple(
        _line(by_name[name], name, slice_, line, groups[line], found)
        for name, slice_, line in wanted[:MAX_LINES]
    )
    decays, undecided = {}, {}
    for place, line in enumerate(lines):
        known = _decay(line, by_name[line.metric], found, pinned, allowed)
        if isinstance(known, str):
            undecided[place] = known
        elif known is not None:
            decays[place] = known
    return Trends(
        lines,
        max(len(wanted) - MAX_LINES, 0),
        names,
        shown_slices,
        available,
        sliced[:MAX_SLICES],
        unknown,
        tuple(name for name in shown_slices if name not in sliced) if found else (),
        decays,
        undecided,
    )


def _usual(found: Sequence[Reading], keys: Iterable[MetricKey]) -> tuple[MetricKey, ...]:
    plain = {key for key in keys if not key.is_diff}
    bound = {
        reading.own(one.key) for reading in found for one in reading.config.thresholds if not one.change
    } & plain
    shown = key_metrics.default_keys([key_metrics.Overall(dict.fromkeys(plain, 0.0), frozenset(bound))])
    return shown or tuple(sorted(plain, key=lambda key: key.label)[:1])


def _line(
    key: MetricKey,
    name: str,
    slice_: str,
    line: tuple[str, str],
    runs: Sequence[TrendRun],
    found: Mapping[int, Reading],
) -> Line:
    points = tuple(_point(key, slice_, run, found) for run in runs)
    configs = [
        found[run.summary.evaluation.id].config
        for run in runs
        if run.summary.evaluation and run.summary.evaluation.id in found
    ]
    allowed, better = None, direction(key, *configs[-1:])
    for run in reversed(runs):
        reading = found.get(run.summary.evaluation.id) if run.summary.evaluation else None
        if reading and reading.baseline is not None:
            allowed, said = _allowed(key, slice_, reading)
            better = said or better
            break
    return Line(line[0], line[1], name, slice_, points, better, allowed)


def _point(key: MetricKey, slice_: str, run: TrendRun, found: Mapping[int, Reading]) -> Point:
    def gap(why: str, examples: float | None = None) -> Point:
        return Point(run, None, None, None, examples, why)

    evaluation = run.summary.evaluation
    if evaluation is None:
        return gap("The run has no evaluation.")
    reading = found[evaluation.id]
    if not reading.keys:
        return gap(reading.problem or "The evaluation has no metrics.")
    part = _part(reading, slice_)
    if part is None:
        return gap("The evaluation is larger than the panel reads." if reading.cut else "No such slice.")
    metric = next(filter(None, (part.metric(one) for one in reading.there(key))), None)
    if metric is None:
        return gap(part.error or "No such metric.", part.examples)
    if metric.number is None:
        return gap("The metric is not a single number.", part.examples)
    lower, upper = bounds_of(metric.interval, metric.number) or (None, None)
    return Point(run, float(metric.number), lower, upper, part.examples, "")


def _part(reading: Reading, slice_: str) -> SliceMetrics | None:
    return next((part for part in reading.parts if part.slice.name == slice_), None)


def _allowed(key: MetricKey, slice_: str, reading: Reading) -> tuple[float | None, str | None]:
    """The smallest change that the thresholds allow for the worse, 0 where they ask for one to the better.

    And which direction they call better. Only absolute ones: a relative one allows another change in each run.
    """
    part = _part(reading, slice_)
    diffs = {dataclasses.replace(one, is_diff=True) for one in reading.there(key)}
    found = [
        (max(one.absolute if one.direction == 1 else -one.absolute, 0.0), one.direction)
        for one in reading.config.thresholds
        if one.change
        and one.key in diffs
        and one.absolute is not None
        and math.isfinite(one.absolute)
        and one.direction in (1, 2)
        and part is not None
        and slices.selects(one.spec, part.slice)
    ]
    if len({way for _, way in found}) != 1:
        return None, None
    return min(found)[0], LOWER if found[0][1] == 1 else HIGHER


def _decay(
    line: Line, key: MetricKey, found: Mapping[int, Reading], pinned: int | None, allowed: float | None
) -> Decay | str | None:
    """The decay of a line; why there is none from the pinned run on; None where none was asked for or can be told."""
    allowed = line.allowed if allowed is None else allowed
    if allowed is None or line.better is None or key.is_diff:
        return None
    series = measured(line, key, found)
    if pinned is None:
        return decay(series, allowed, line.better)
    start = next((place for place, one in enumerate(series) if one.run == pinned), None)
    if start is None:
        return _no_baseline(line, pinned)
    name = next(point.run.summary.run.label for point in line.points if point.run.summary.run.id == pinned)
    return decay(series[start:], allowed, line.better) or (
        f"After the pinned baseline, {name}, no run has a value and a model that was not rejected."
    )


def _no_baseline(line: Line, pinned: int) -> str:
    """Why a run that is not in the series cannot be the baseline."""
    point = next((one for one in line.points if one.run.summary.run.id == pinned), None)
    if point is None:
        named = " ".join(filter(None, (line.pipeline, line.branch)))
        return f"The pinned baseline, run {pinned}, is not among these runs of {named}."
    name = point.run.summary.run.label
    if point.run.summary.blessed is False:
        return f"The model of the pinned baseline, {name}, was rejected: it never became a baseline. Pin another run."
    why = point.gap or f"{line.metric} is {number(point.value)}."
    return f"The pinned baseline, {name}, has no value to start from: {why} Pin another run."


def measured(line: Line, key: MetricKey, found: Mapping[int, Reading]) -> list[Measured]:
    """The runs of a line whose models were not rejected, as `decay` takes them: only those become baselines."""
    models: dict[int, int] = {}
    series: list[Measured] = []
    for point in line.points:
        run = point.run
        if point.value is None or run.summary.blessed is False or run.summary.evaluation is None:
            continue
        reading = found[run.summary.evaluation.id]
        part = _part(reading, line.slice)
        value = _estimate(part, reading.there(key))
        if value is None or not math.isfinite(value.value):
            continue
        effect = _estimate(part, [dataclasses.replace(one, is_diff=True) for one in reading.there(key)])
        against = models.get(run.baseline) if run.baseline is not None else None
        series.append(Measured(run.summary.run.id, value, effect, against))
        if run.model is not None:
            models[run.model] = run.summary.run.id
    return series


def _estimate(part: SliceMetrics | None, keys: Iterable[MetricKey]) -> Estimate | None:
    metric = next(filter(None, (part.metric(key) for key in keys)), None) if part else None
    return estimate(metric) if metric else None
