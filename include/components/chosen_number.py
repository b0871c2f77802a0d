"""A component that makes a number, given as a parameter, something that a Resolver can read.

Without `from __future__ import annotations`: TFX's @component reads the annotations themselves.
"""

from tfx import v1 as tfx
from tfx.dsl.component.experimental.decorators import component


@component
def ChosenNumber(number: tfx.dsl.components.Parameter[int]) -> tfx.dsl.components.OutputDict(chosen=int):
    """Hands a span or an id on to a Resolver, whose own config is fixed when the pipeline is compiled.

    Args:
        number: Span, such as 201403, or id; 0 where the Resolver shall choose.

    Returns:
        The same number.

    Raises:
        ValueError: It is negative.
    """
    if number < 0:
        raise ValueError(f"{number} is neither a span such as 201403 nor an id.")
    return {"chosen": number}
