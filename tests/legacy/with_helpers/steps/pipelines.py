"""Makes the pipeline."""

from tfx.orchestration import pipeline

from steps.words import WORDS, Say  # type: ignore[import-not-found]


def create(name: str) -> pipeline.Pipeline:
    """One node."""
    return pipeline.Pipeline(
        pipeline_name=name, pipeline_root="", components=[Say(words=WORDS)], enable_cache=True
    )
