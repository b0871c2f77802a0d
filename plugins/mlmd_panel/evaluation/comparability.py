"""Says whether two evaluations can be compared at all, and what to be careful about, with both values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from mlmd_panel.evaluation.compare import Comparison
from mlmd_panel.evaluation.evaluated import Evaluated, described_examples
from mlmd_panel.payloads.evaluation.eval_config import EvalConfig

COMPARABLE, WITH_CARE, NOT_COMPARABLE = "comparable", "with care", "not comparable"
NOTE, CARE, BREAKS = "note", "care", "breaks"
# Names that are listed; the number of all is given with them.
MAX_NAMED = 20


@dataclasses.dataclass(frozen=True)
class Difference:
    """Something that the two evaluations do not have in common.

    Attributes:
      kind: examples, label, model, models, signature, weights, slicing, slices, metrics, weighting, settings, intervals, tfma, pipeline,
        splits, config or size.
      weight: breaks (they measure different things), care (some rows do) or note (it is told, and accounted for).
      text: A sentence.
      baseline: The baseline's value, or empty.
      candidate: The candidate's value, or empty.
      names: Slices or metrics that only one side has, up to MAX_NAMED.
      names_in_all: Number of all of them.
    """

    kind: str
    weight: str
    text: str
    baseline: str = ""
    candidate: str = ""
    names: tuple[str, ...] = ()
    names_in_all: int = 0


@dataclasses.dataclass(frozen=True)
class Comparability:
    """Whether two evaluations can be compared.

    Attributes:
      verdict: comparable, with care or not comparable.
      differences: The gravest first.
    """

    verdict: str
    differences: tuple[Difference, ...]

    @property
    def grave(self) -> tuple[Difference, ...]:
        """Those that need care, or break the comparison."""
        return tuple(one for one in self.differences if one.weight != NOTE)


def comparability(baseline: Evaluated, candidate: Evaluated, comparison: Comparison) -> Comparability:
    """Whether two evaluations can be compared."""
    order = (BREAKS, CARE, NOTE)
    found = sorted(_differences(baseline, candidate, comparison), key=lambda one: order.index(one.weight))
    weights = {one.weight for one in found}
    verdict = NOT_COMPARABLE if BREAKS in weights else WITH_CARE if CARE in weights else COMPARABLE
    return Comparability(verdict, tuple(found))


def _differences(baseline: Evaluated, candidate: Evaluated, comparison: Comparison) -> Iterator[Difference]:
    yield from _config(baseline, candidate)
    yield from _examples(baseline, candidate, comparison)
    yield from _models(baseline, candidate)
    yield from _size(baseline, candidate, comparison)
    yield from _metrics(comparison)
    yield from _slices(comparison)
    if baseline.run.run.pipeline != candidate.run.run.pipeline:
        yield Difference(
            "pipeline",
            CARE,
            "The runs belong to different pipelines.",
            baseline.run.run.pipeline,
            candidate.run.run.pipeline,
        )
    if comparison.cut:
        yield Difference(
            "size", CARE, "One of the evaluations has more slices or metrics than the panel reads."
        )


def _config(baseline: Evaluated, candidate: Evaluated) -> Iterator[Difference]:
    two = baseline.payload.config, candidate.payload.config
    for name, config in zip(("baseline", "candidate"), two, strict=True):
        if not config.models:
            yield Difference(
                "config",
                CARE,
                f"The {name}'s eval_config.json is missing or names no model, so label, weights and slicing are not "
                "known.",
            )
    if not (two[0].models and two[1].models):
        return
    for kind, weight, text, value in _OF_CONFIG:
        values = value(two[0]), value(two[1])
        if values[0] != values[1]:
            yield Difference(kind, weight, text, values[0] or "none", values[1] or "none")


def _models(baseline: Evaluated, candidate: Evaluated) -> Iterator[Difference]:
    if baseline.own_baseline:
        return
    two = baseline.payload.candidates, candidate.payload.candidates
    if max(map(len, two)) == 1:
        return
    text = "Several models are evaluated at once; each is compared with the model of the same name."
    weight = NOTE if set(two[0]) == set(two[1]) else CARE
    yield Difference("models", weight, text, ", ".join(two[0]), ", ".join(two[1]))


def _of_models(field: str) -> Callable[[EvalConfig], str]:
    """Values of a field of the candidate models, each once."""
    return lambda config: ", ".join(
        dict.fromkeys(
            value for model in config.models if not model.baseline and (value := getattr(model, field))
        )
    )


_OF_CONFIG: tuple[tuple[str, str, str, Callable[[EvalConfig], str]], ...] = (
    ("label", BREAKS, "The models are judged by different labels.", _of_models("label")),
    ("model", CARE, "The predictions come from different outputs.", _of_models("prediction")),
    ("signature", CARE, "Different signatures of the models are called.", _of_models("signature")),
    ("weights", CARE, "The examples are weighted by different features.", _of_models("weight")),
    (
        "slicing",
        CARE,
        "The evaluations are sliced differently.",
        lambda config: "; ".join(sorted(spec.name for spec in config.slicing)),
    ),
    (
        "slicing",
        CARE,
        "Slices are hidden below different numbers of examples.",
        lambda config: str(config.min_slice_size or ""),
    ),
    (
        "intervals",
        CARE,
        "Confidence intervals are computed by different methods.",
        lambda config: config.intervals.lower().replace("_", " "),
    ),
    (
        "tfma",
        CARE,
        "The evaluations were written by different versions of TFMA.",
        lambda config: config.version,
    ),
)


def _examples(baseline: Evaluated, candidate: Evaluated, comparison: Comparison) -> Iterator[Difference]:
    link = comparison.link
    if link.own:
        return
    if baseline.splits != candidate.splits and baseline.examples and candidate.examples:
        yield Difference(
            "splits",
            CARE,
            "Different splits of the examples were evaluated.",
            baseline.splits or "the Evaluator's default",
            candidate.splits or "the Evaluator's default",
        )
    spans = _described(baseline), _described(candidate)
    if link.same_examples:
        yield Difference("examples", NOTE, "Both were evaluated on the same examples.", *spans)
    elif link.same_examples is None:
        text = (
            "Whether both were evaluated on the same examples is not known: the store does not say on which."
        )
        yield Difference("examples", CARE, text)
    elif link.is_baseline or link.same_model:
        text = "They were evaluated on different examples; the data effect says what that accounts for."
        yield Difference("examples", NOTE, text, *spans)
    else:
        text = (
            "They were evaluated on different examples, and what that accounts for is not known: "
            + missing_link(baseline, candidate)
        )
        yield Difference("examples", CARE, text, *spans)


def missing_link(baseline: Evaluated, candidate: Evaluated) -> str:
    """Why a change cannot be split into model effect and data effect: a sentence that begins in lower case."""
    if candidate.payload.baseline is None:
        return "the candidate was evaluated without a baseline model."
    if baseline.judged is None:
        return "the store does not say which model the baseline's evaluation judged."
    if candidate.baseline_model is None:
        return "the store does not say which model the candidate was compared with."
    return (
        f"the candidate's Evaluator compared it with model {candidate.baseline_model.id}, while the baseline's judged "
        f"model {baseline.judged.id}."
    )


def _described(one: Evaluated) -> str:
    return described_examples(one) or ", ".join(f"artifact {artifact.id}" for artifact in one.examples)


def _size(baseline: Evaluated, candidate: Evaluated, comparison: Comparison) -> Iterator[Difference]:
    parts = baseline.payload.overall_slice, candidate.payload.overall_slice
    counts = [part.examples if part else None for part in parts]
    before, after = map(_count, counts)
    least = comparison.method.min_examples
    if any(count is not None and count < least for count in counts):
        text = f"An evaluation has fewer than {least} examples, too few to tell a change from chance."
        yield Difference("size", CARE, text, before, after)
    elif None in counts:
        text = "The number of examples is not recorded, so small slices are not told apart."
        yield Difference("size", CARE, text, before, after)


def _count(count: float | None) -> str:
    return "not recorded" if count is None else f"{count:,.0f}"


def _metrics(comparison: Comparison) -> Iterator[Difference]:
    if not comparison.compared:
        text = "The evaluations have no metric of a slice in common."
        yield Difference("metrics", BREAKS, text)
    have = (
        {one.metric for one in comparison.rows.outlines() if one.in_baseline},
        {one.metric for one in comparison.rows.outlines() if one.in_candidate},
    )
    for name, mine, theirs in (("baseline", have[0], have[1]), ("candidate", have[1], have[0])):
        if only := sorted(mine - theirs):
            yield Difference(
                "metrics",
                CARE,
                f"Only the {name} has {_counted(len(only), 'metric')}.",
                names=tuple(only[:MAX_NAMED]),
                names_in_all=len(only),
            )
    if differs := comparison.weighting_differs:
        yield Difference(
            "weighting",
            CARE,
            f"{_counted(len(differs), 'metric')} cannot be compared: example weights are applied differently, or it is "
            "not known how.",
            names=differs[:MAX_NAMED],
            names_in_all=len(differs),
        )
    if unlike := comparison.settings_differ:
        shown = unlike[:MAX_NAMED]
        yield Difference(
            "settings",
            CARE,
            f"{_counted(len(unlike), 'metric')} cannot be compared: what is measured differs by the settings.",
            "; ".join(dict.fromkeys(baseline for _, baseline, _ in shown)),
            "; ".join(dict.fromkeys(candidate for *_, candidate in shown)),
            names=tuple(name for name, *_ in shown),
            names_in_all=len(unlike),
        )


def _slices(comparison: Comparison) -> Iterator[Difference]:
    for name, slices in (("baseline", comparison.only_baseline), ("candidate", comparison.only_candidate)):
        if slices:
            only = frozenset(slices)
            large = any(one.enough for one in comparison.rows.outlines() if one.slice in only)
            few = f", all with fewer than {comparison.method.min_examples} examples"
            yield Difference(
                "slices",
                CARE if large else NOTE,
                f"Only the {name} has {_counted(len(slices), 'slice')}{'' if large else few}.",
                names=tuple(one.name for one in slices[:MAX_NAMED]),
                names_in_all=len(slices),
            )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
