"""What a node tells OpenLineage, if `apache-airflow-providers-openlineage` is installed.

Artifacts become datasets, so that Marquez, DataHub and others show a pipeline's lineage. A dataset is the channel that an
artifact belongs to, and the artifact its version: see `tfx_side/node/lineage_facts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


def is_wanted() -> bool:
    """Whether the provider is there and emits events: describing artifacts takes time."""
    try:
        from airflow.providers.openlineage import conf
    except ImportError:
        return False
    return not conf.is_disabled()


def facets(lineage: Mapping[str, Any]) -> Any:
    """The `OperatorLineage` of what a node read and made.

    Args:
      lineage: Of a `NodeResult`; empty if the node made nothing.
    """
    from airflow.providers.openlineage.extractors import OperatorLineage
    from openlineage.client import event_v2, facet_v2

    inputs = []
    for one in lineage.get("inputs", ()):
        found: dict[str, Any] = {}
        if "columns" in one:
            columns = {
                name: facet_v2.data_quality_metrics_input_dataset.ColumnMetrics(**column)
                for name, column in one["columns"].items()
            }
            found["dataQualityMetrics"] = (
                facet_v2.data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
                    columnMetrics=columns, rowCount=one["rows"]
                )
            )
        inputs.append(event_v2.InputDataset(*_name(one["channel"]), facets=_facets(one), inputFacets=found))
    outputs = []
    for one in lineage.get("outputs", ()):
        rows = (
            {
                "outputStatistics": facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                    rowCount=one["rows"]
                )
            }
            if "rows" in one
            else {}
        )
        outputs.append(event_v2.OutputDataset(*_name(one["channel"]), facets=_facets(one), outputFacets=rows))
    return OperatorLineage(inputs=inputs, outputs=outputs)


def _name(uri: str) -> tuple[str, str]:
    """Namespace and name of a URI, as OpenLineage's naming conventions have them for files and object stores."""
    parts = urlsplit(uri)
    if parts.scheme in ("", "file"):
        return "file", parts.path
    return f"{parts.scheme}://{parts.netloc}", parts.path.lstrip("/") or "/"


def _facets(one: Mapping[str, Any]) -> dict[str, Any]:
    import attr
    from openlineage.client import facet_v2
    from openlineage.client.generated.base import DatasetFacet

    @attr.define
    class TfxArtifactDatasetFacet(DatasetFacet):
        """The artifact, as ML Metadata and the node's summary have it."""

        id: int
        type: str
        uri: str
        key: str
        span: int | None = None
        version: int | None = None
        facts: dict[str, Any] | None = None
        fields_left_out: int | None = None
        unreadable: str | None = None

    names = ("id", "type", "uri", "key", "span", "version", "facts", "fields_left_out", "unreadable")
    found: dict[str, Any] = {
        "tfx_artifact": TfxArtifactDatasetFacet(**{name: one[name] for name in names if name in one}),
        "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet(str(one["id"])),
    }
    if "fields" in one:
        found["schema"] = facet_v2.schema_dataset.SchemaDatasetFacet(
            [facet_v2.schema_dataset.SchemaDatasetFacetFields(name, kind) for name, kind in one["fields"]]
        )
    return found
