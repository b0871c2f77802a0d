"""Reads ExampleAnomalies: what ExampleValidator or DistributionValidator found in the statistics of each split."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

from mlmd_panel.files import messages, protos
from mlmd_panel.files.allowed import Files
from mlmd_panel.payloads.data import splits
from mlmd_panel.payloads.data.feature_statistics import path_of
from mlmd_panel.payloads.data.histograms import enum_name, first_items, text
from mlmd_panel.payloads.part import WHOLE, Part
from mlmd_panel.store.records import Artifact

MAX_ANOMALIES = 2000
MAX_REASONS = 100
MAX_TEXT = 2000
_MESSAGE = "tensorflow.metadata.v0.Anomalies"
_KNOWN = ("SchemaDiff.pb", "anomalies.pbtxt")  # the second of TFX before 0.30


@dataclasses.dataclass(frozen=True)
class Reason:
    """One thing that is wrong.

    Attributes:
      type: Such as ENUM_TYPE_UNEXPECTED_STRING_VALUES; CUSTOM_VALIDATION of the user's own conditions.
      short: A few words.
      description: A sentence.
    """

    type: str
    short: str
    description: str


@dataclasses.dataclass(frozen=True)
class Anomaly:
    """What is wrong with a feature, or with the dataset.

    Attributes:
      feature: Its name; "" of the dataset.
      severity: ERROR, WARNING or UNKNOWN.
      short: A few words.
      description: A sentence.
      reasons: The single reasons.
      cut: Reasons were left out.
    """

    feature: str
    severity: str
    short: str
    description: str
    reasons: tuple[Reason, ...]
    cut: bool


@dataclasses.dataclass(frozen=True)
class Measurement:
    """A distance between two distributions of a feature.

    Attributes:
      feature: Its name.
      comparison: `drift`, to the span before, or `skew`, to serving or another split.
      type: L_INFTY, JENSEN_SHANNON_DIVERGENCE or NORMALIZED_ABSOLUTE_DIFFERENCE.
      value: What was measured.
      threshold: What is allowed.
    """

    feature: str
    comparison: str
    type: str
    value: float
    threshold: float

    @property
    def allowed(self) -> bool | None:
        """The distance is within the threshold; None when one of them is not a number."""
        if math.isnan(self.value) or math.isnan(self.threshold):
            return None
        return self.value <= self.threshold


@dataclasses.dataclass(frozen=True)
class SplitAnomalies:
    """Anomalies of a split, or of a pair of splits.

    Attributes:
      split: Name, of a pair `<test>_<baseline>`; "" when the artifact has no splits.
      anomalies: Those of the dataset first, then those of features by name; none when all is well.
      measurements: Drift and skew, also where there is no anomaly.
      data_missing: There were no examples.
      blessed: What the component wrote to the artifact's property `blessed`: no anomalies, or None.
      cut: Anomalies or measurements were left out.
    """

    split: str
    anomalies: tuple[Anomaly, ...]
    measurements: tuple[Measurement, ...]
    data_missing: bool
    blessed: bool | None
    cut: bool


@dataclasses.dataclass(frozen=True)
class AnomaliesPayload:
    """Anomalies.

    Attributes:
      splits: In the order of the artifact's `split_names`.
      split_count: Number of all splits.
      part: What the address chose of it.
      problems: Sentences about what could not be read.
      cut: Splits were left out.
    """

    splits: tuple[SplitAnomalies, ...]
    split_count: int
    part: Part
    problems: tuple[str, ...]
    cut: bool
    kind: ClassVar[str] = "anomalies"

    @property
    def count(self) -> int:
        """Number of features and datasets, over all splits, with an anomaly."""
        return sum(len(split.anomalies) for split in self.splits)


def read(artifact: Artifact, files: Files, part: Part = WHOLE) -> AnomaliesPayload:
    """Reads an ExampleAnomalies, or a part of it.

    Raises:
      PayloadGone: The files are gone.
      PayloadUnknown: There are files, and none with anomalies.
      PayloadError: They are broken or too large.
    """
    found = splits.find(artifact, files, _KNOWN, "anomalies", part.split)
    blessed = artifact.property("blessed")
    blessed = blessed if isinstance(blessed, dict) else {}
    problems = list(found.problems)

    def made_of(one: splits.SplitFiles) -> SplitAnomalies:
        proto = messages.read(files, artifact.uri, one.names, _MESSAGE)
        value = blessed.get(one.split)
        with protos.sound(one.names[0] or "The artifact's file", "Anomalies"):
            return _split(one.split, proto, bool(value) if isinstance(value, (int, float)) else None)

    made = splits.each(found.splits, made_of, problems)
    left_out = not part.split and found.count > len(found.splits)
    return AnomaliesPayload(made, found.count, part, tuple(problems), left_out)


def _split(split: str, proto: Any, blessed: bool | None) -> SplitAnomalies:
    names = sorted(proto.anomaly_info, key=text)
    anomalies = [_anomaly(name, proto.anomaly_info[name]) for name in names[:MAX_ANOMALIES]]
    if proto.HasField("dataset_anomaly_info"):
        anomalies.insert(0, _anomaly("", proto.dataset_anomaly_info))
    infos, more = first_items(proto.drift_skew_info, MAX_ANOMALIES)
    measurements: list[Measurement] = []
    for info in infos:
        name = path_of(info.path)
        for comparison, found in (("drift", info.drift_measurements), ("skew", info.skew_measurements)):
            kept, cut = first_items(found, 10)
            more |= cut
            measurements += (
                Measurement(name, comparison, enum_name(m, "type"), m.value, m.threshold) for m in kept
            )
    return SplitAnomalies(
        split=split,
        anomalies=tuple(anomalies),
        measurements=tuple(measurements),
        data_missing=proto.data_missing,
        blessed=blessed,
        cut=more or len(names) > MAX_ANOMALIES,
    )


def _anomaly(name: str, proto: Any) -> Anomaly:
    reasons, cut = first_items(proto.reason, MAX_REASONS)
    return Anomaly(
        feature=path_of(proto.path) if name and proto.path.step else text(name),
        severity=enum_name(proto, "severity"),
        short=text(proto.short_description),
        description=text(proto.description, MAX_TEXT),
        reasons=tuple(
            Reason(
                enum_name(reason, "type"), text(reason.short_description), text(reason.description, MAX_TEXT)
            )
            for reason in reasons
        ),
        cut=cut,
    )
