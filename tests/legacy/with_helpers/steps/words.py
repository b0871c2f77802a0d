"""A component."""

from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component

WORDS = "from a package beside the file"


@component
def Say(
    words: tfx.dsl.components.Parameter[str],
    text: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.String],
) -> None:
    """Says words."""
    text.value = words
