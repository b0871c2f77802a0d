"""ExampleAnomalies: what ExampleValidator or DistributionValidator found wrong with the statistics of each split."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

from mlmd_panel import protos
from mlmd_panel.files import Files
from mlmd_panel.models import Artifact
from mlmd_panel.payloads import splits, wire
from mlmd_panel.payloads.feature_statistics import path_of
from mlmd_panel.payloads.histograms import enum_name, some, text

MAX_ANOMALIES = 2000
MAX_REASONS = 100
MAX_TEXT = 2000
_MESSAGE = "tensorflow.metadata.v0.Anomalies"
_NAME = "SchemaDiff.pb"


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


@dataclasses.dataclass(frozen=True)
class SplitAnomalies:
    """Anomalies of a split, or of a pair of splits.

    Attributes:
      split: Name, of a pair `<test>_<baseline>`; "" when the artifact has no splits.
      anomalies: Of the dataset first, then of features by name; none when all is well.
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
    """Anomalies of the splits, in the order of the artifact's `split_names`; `cut` when some were left out."""

    splits: tuple[SplitAnomalies, ...]
    cut: bool
    kind: ClassVar[str] = "anomalies"

    @property
    def count(self) -> int:
        """Number of features and datasets, over all splits, with an anomaly."""
        return sum(len(split.anomalies) for split in self.splits)


def read(artifact: Artifact, files: Files) -> AnomaliesPayload:
    """Reads an ExampleAnomalies.

    Raises:
      PayloadGone: The files are gone.
      PayloadError: They are broken or too large.
    """
    found, cut = splits.find(artifact, files, (_NAME,))
    blessed = artifact.property("blessed")
    blessed = blessed if isinstance(blessed, dict) else {}
    made = []
    for split, name in found:
        data = files.read(artifact.uri, name, protos.MAX_MESSAGE)
        wire.check(data, protos.message(_MESSAGE).DESCRIPTOR, name)
        proto = protos.parse(_MESSAGE, data, name)
        value = blessed.get(split)
        with protos.sound(name, "Anomalies"):
            made.append(_split(split, proto, bool(value) if isinstance(value, (int, float)) else None))
    return AnomaliesPayload(tuple(made), cut)


def _split(split: str, proto: Any, blessed: bool | None) -> SplitAnomalies:
    names = sorted(proto.anomaly_info, key=text)
    anomalies = [_anomaly(name, proto.anomaly_info[name]) for name in names[:MAX_ANOMALIES]]
    if proto.HasField("dataset_anomaly_info"):
        anomalies.insert(0, _anomaly("", proto.dataset_anomaly_info))
    infos, more = some(proto.drift_skew_info, MAX_ANOMALIES)
    measurements: list[Measurement] = []
    for info in infos:
        name = path_of(info.path)
        for comparison, found in (("drift", info.drift_measurements), ("skew", info.skew_measurements)):
            kept, cut = some(found, 10)
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
    reasons, cut = some(proto.reason, MAX_REASONS)
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
