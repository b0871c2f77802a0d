"""Query parameters that select the slices and metrics of an evaluation."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Query

from mlmd_panel.evaluation.table import Choice, chosen_names

# Names of models, metrics and outputs may contain commas, brackets and quotes.
Name = Annotated[str, Query(max_length=5000)]
Names = Annotated[
    list[Name], Query(max_length=500, description="Name of a metric; may be repeated; * for all")
]
PageNumber = Annotated[int, Query(ge=1, le=10**9)]


def choice(
    metrics: Names = [],  # noqa: B006 - FastAPI copies it
    slices: Annotated[str, Query(max_length=1000, description="Part of the slice's name")] = "",
    min_examples: Annotated[
        int, Query(ge=0, le=10**12, description="Leave out slices with fewer examples")
    ] = 0,
    metric: Annotated[str, Query(max_length=5000, description="Metric to chart")] = "",
    plot: Annotated[str, Query(max_length=20_000, description="Slice whose plots to show")] = "",
    page: PageNumber = 1,
    bounds: PageNumber = 1,
    cells: PageNumber = 1,
    attributions: PageNumber = 1,
) -> Choice:
    """The choice of a request."""
    return Choice(
        chosen_names(metrics), slices.strip(), min_examples, metric, plot, page, bounds, cells, attributions
    )


Choosing = Annotated[Choice, Depends(choice)]
