"""Gives each metric key a distinct name, by which it is shown, selected and compared."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable

from mlmd_panel.payloads.evaluation.metrics import MetricKey


def metric_names(keys: Iterable[MetricKey], sole: str = "") -> dict[MetricKey, str]:
    """A name for each key, distinct among them, in their order.

    Args:
      keys: Keys of one evaluation, or of all on one page.
      sole: The model that needs no mention, as no other is under evaluation.
    """
    found = {key: key.label_of("" if key.model == sole else key.model) for key in keys}
    found = _longer(found, _with_unknown_weighting)
    return _longer(found, lambda key, _: _exact(key))


def _longer(found: dict[MetricKey, str], of_equal: Callable[[MetricKey, str], str]) -> dict[MetricKey, str]:
    counts = Counter(found.values())
    return {key: of_equal(key, name) if counts[name] > 1 else name for key, name in found.items()}


def _with_unknown_weighting(key: MetricKey, name: str) -> str:
    """Metrics that a Keras model computes itself stand beside TFMA's of the same name."""
    return f"{name}, weighting unknown" if key.weighted is None else name


def _exact(key: MetricKey) -> str:
    parts = {
        "change of" if key.is_diff else "metric": key.name,
        "average": key.aggregation,
        "output": key.output,
        "sub key": key.sub_key,
        "model": key.model,
    }
    said = [f"{name} {json.dumps(part, ensure_ascii=False)}" for name, part in parts.items() if part]
    weighting = {True: "weighted", False: "unweighted", None: "weighting unknown"}[key.weighted]
    return ", ".join([*said, weighting])
