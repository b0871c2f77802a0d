"""Reads ModelEvaluations: every metric of every slice, as TFMA wrote them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any, ClassVar

from mlmd_panel.errors import PayloadError, PayloadGone
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads import tombstone
from mlmd_panel.payloads.evaluation import attributions, eval_config, plots, slice_metrics, validation
from mlmd_panel.payloads.evaluation.attributions import AttributionsPayload
from mlmd_panel.payloads.evaluation.eval_config import EvalConfig
from mlmd_panel.payloads.evaluation.metrics import Metric, MetricKey
from mlmd_panel.payloads.evaluation.plots import PlotsPayload
from mlmd_panel.payloads.evaluation.slice_metrics import SliceMetrics, StoredSlices, slices_of
from mlmd_panel.payloads.evaluation.validation import ValidationPayload
from mlmd_panel.store.records import Artifact

PARTS = ("plots", "attributions", "validation")
_SPAN = re.compile(r"(?i)span[-_=/]?(\d{1,18})")


@dataclasses.dataclass(frozen=True)
class EvaluationPayload:
    """An evaluation.

    Attributes:
      config: Models, slices, thresholds; empty when eval_config.json is gone or cannot be read.
      slices: Overall first, then by name; a tuple, unless they are read lazily.
      span: Span of the examples, if their location contains it.
      cut: There are more slices or metrics than in `slices`.
      slices_in_all: How many slices were written; of an evaluation too large to count them those counted.
      plots: None if not requested, or missing.
      attributions: None if not requested, or missing.
      validation: None if not requested, or missing.
      problems: Sentences about parts that cannot be shown.
      table: Slices and metrics that the page shows; None if there is no page.
    """

    kind: ClassVar[str] = "evaluation"
    config: EvalConfig
    slices: Sequence[SliceMetrics]
    span: int | None = None
    cut: bool = False
    slices_in_all: int = 0
    plots: PlotsPayload | None = None
    attributions: AttributionsPayload | None = None
    validation: ValidationPayload | None = None
    problems: tuple[str, ...] = ()
    table: Any = None

    @cached_property
    def keys(self) -> tuple[MetricKey, ...]:
        """Keys of all metrics of all slices, each once."""
        if isinstance(self.slices, StoredSlices):
            return self.slices.keys
        return tuple(dict.fromkeys(metric.key for part in self.slices for metric in part.metrics))

    @cached_property
    def baseline(self) -> str | None:
        """Name of the model that the others are compared with.

        Without a configuration the only model that has no differences when others have them.
        """
        if self.config.models:
            return self.config.baseline
        compared = {key.model for key in self.keys if key.is_diff}
        others = {key.model for key in self.keys if key.model} - compared
        return others.pop() if compared and len(others) == 1 else None

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """Names of the candidate models, in the configuration's order; "" if metrics name none."""
        order = {model.name: place for place, model in enumerate(self.config.models)}
        named = dict.fromkeys(key.model for key in self.keys if key.model)
        found = [name for name in named if name != self.baseline]
        return tuple(sorted(found, key=lambda name: order.get(name, len(order)))) or ("",)

    @cached_property
    def sole(self) -> str:
        """The candidate model if it is the only one, else ""."""
        return self.candidates[0] if len(self.candidates) == 1 else ""

    def of_candidates(self, part: SliceMetrics) -> dict[MetricKey, Metric]:
        """Metrics of the models under evaluation in a slice; no differences to the baseline.

        Of a sole model the keys do not name it, so that they are those of other evaluations, whatever they call it.
        """
        found: dict[MetricKey, Metric] = {}
        for metric in part.metrics:
            key = self._plain_key(metric.key)
            # A candidate's own goes before one of no model.
            if key is not None and (key not in found or metric.key.model):
                found[key] = metric
        return found

    @property
    def candidate_keys(self) -> tuple[MetricKey, ...]:
        """All keys of `of_candidates`, each once."""
        plain = (self._plain_key(key) for key in self.keys)
        return tuple(dict.fromkeys(key for key in plain if key is not None))

    def _plain_key(self, key: MetricKey) -> MetricKey | None:
        if key not in self._plain_keys:
            if key.is_diff or (key.model and key.model == self.baseline):
                self._plain_keys[key] = None
            else:
                own = bool(key.model) and key.model == self.sole
                self._plain_keys[key] = dataclasses.replace(key, model="") if own else key
        return self._plain_keys[key]

    @cached_property
    def _plain_keys(self) -> dict[MetricKey, MetricKey | None]:
        return {}

    @cached_property
    def overall_slice(self) -> SliceMetrics | None:
        """The slice of all examples; None where the configuration asks for none."""
        places = enumerate(slices_of(self.slices))
        return next((self.slices[place] for place, slice_ in places if slice_.is_overall), None)

    def overall(self) -> dict[MetricKey, float]:
        """Numbers of the models under evaluation on all examples, with keys as of `of_candidates`."""
        part = self.overall_slice
        found = self.of_candidates(part) if part else {}
        return {key: metric.number for key, metric in found.items() if metric.number is not None}


def read(
    artifact: Artifact,
    files: Files,
    parts: Collection[str] = PARTS,
    search: str = "",
    plot: str | None = None,
    lazy: bool = False,
) -> EvaluationPayload:
    """Reads an evaluation.

    Args:
      artifact: The ModelEvaluation.
      files: Where from.
      parts: Which of plots, attributions and validation to read besides the metrics; one that cannot be read
        becomes a sentence in `problems`.
      search: Text in the names of slices that are read even where the evaluation has more than the panel reads.
      plot: Name of the slice whose plots to read; None for all, up to the limit.
      lazy: Slices are parsed each time they are asked for, so that never all are in memory.

    Raises:
      PayloadDeleted: Retention has taken the files.
      PayloadError: The metrics are gone or cannot be read.
    """
    tombstone.check(artifact)
    problems: list[str] = []
    config = EvalConfig()
    try:
        config = eval_config.read(files, artifact.uri)
    except PayloadError as error:
        problems.append(str(error))
    stored, count, cut = slice_metrics.read(files, artifact.uri, search)
    found: Sequence[SliceMetrics] = stored if lazy else tuple(stored)
    span = _SPAN.search(config.data_location)
    payload = EvaluationPayload(config, found, int(span[1]) if span else None, cut, count)
    readers: dict[str, Any] = {
        "plots": lambda: plots.read(artifact, files, plot),
        "attributions": lambda: attributions.read(artifact, files),
        "validation": lambda: validation.judge(config, found, files, artifact.uri, cut),
    }
    read_parts: dict[str, Any] = {}
    for part in PARTS:
        if part in parts:
            try:
                read_parts[part] = readers[part]()
            except PayloadGone:
                read_parts[part] = None
            except PayloadError as error:
                problems.append(str(error))
    return dataclasses.replace(payload, problems=tuple(problems), **read_parts)
