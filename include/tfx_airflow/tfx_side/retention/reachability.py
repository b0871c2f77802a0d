"""What is kept: roots, the evaluations of models among them, and all their ancestors."""

from __future__ import annotations

from collections.abc import Mapping

from include.tfx_airflow.tfx_side.retention.graph import Graph


def reachable(graph: Graph, roots: Mapping[int, str]) -> dict[int, str]:
    """Everything that is kept.

    A model that is kept only as an ancestor, such as a baseline, keeps its own ancestors but not its evaluations:
    each of those leads to the baseline before, so that all models there ever were would be kept.

    Args:
      graph: Of the store.
      roots: Why each root is kept.

    Returns:
      Why each artifact is kept.
    """
    kept = dict(roots)
    for verdict, models in graph.judged.items():
        for model in sorted(models & roots.keys()):
            kept.setdefault(verdict, f"it is a verdict on artifact {model}: {roots[model]}")
    waiting = list(kept)
    while waiting:
        descendant = waiting.pop()
        for execution in graph.makers(descendant):
            for ancestor in graph.inputs(execution.id):
                if ancestor not in kept:
                    kept[ancestor] = f"artifact {descendant} was made from it"
                    waiting.append(ancestor)
    return kept
