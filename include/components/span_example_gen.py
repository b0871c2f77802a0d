"""An ArrowExampleGen that reads only complete spans: those whose marker was written."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tfx.components.example_gen import driver, input_processor, utils
from tfx.proto import example_gen_pb2, range_config_pb2

from include.components.arrow_example_gen import ArrowExampleGen
from include.tfx_airflow.contract.spans import MARKER


class _CompleteSpans(input_processor.FileBasedInputProcessor):
    """Finds span and version by the marker instead of by the data files."""

    def __init__(
        self,
        input_base_uri: str,
        splits: Iterable[example_gen_pb2.Input.Split],
        range_config: range_config_pb2.RangeConfig | None = None,
    ):
        super().__init__(input_base_uri, splits, range_config)
        # The marker is in the folder of the split's files, which names the version.
        self._markers = [
            example_gen_pb2.Input.Split(
                name=split.name, pattern=os.path.join(os.path.dirname(split.pattern), MARKER)
            )
            for split in splits
        ]

    def resolve_span_and_version(self) -> tuple[int, int | None]:
        """Returns the requested span and its newest complete version.

        Raises:
            ValueError: No version of the span is complete.
        """
        try:
            _, span, version = utils.calculate_splits_fingerprint_span_and_version(
                self._input_base_uri, self._markers, self._range_config
            )
        except ValueError as error:
            asked = self._range_config.static_range.start_span_number if self._range_config else "latest"
            raise ValueError(
                f"Span {asked} has no complete version below {self._input_base_uri!r}: none has a "
                f"{MARKER} file. Deliver it, or wait for it with a SpanSensor. ({error})"
            ) from None
        splits = [
            example_gen_pb2.Input.Split(
                name=split.name, pattern=self.get_pattern_for_span_version(split.pattern, span, version)
            )
            for split in self._splits
        ]
        self._fingerprint, _, _ = utils.calculate_splits_fingerprint_span_and_version(
            self._input_base_uri, splits
        )
        return span, version


class CompleteSpansDriver(driver.FileBasedDriver):
    """The driver of SpanExampleGen."""

    def get_input_processor(
        self,
        splits: Iterable[example_gen_pb2.Input.Split],
        range_config: range_config_pb2.RangeConfig | None = None,
        input_base_uri: str | None = None,
    ) -> _CompleteSpans:
        """Called by TFX."""
        return _CompleteSpans(str(input_base_uri), splits, range_config)


class SpanExampleGen(ArrowExampleGen):
    """ArrowExampleGen for spans that are delivered while it may be reading.

    TFX's own takes the highest version of a span that has any file, even one that is still being written
    or that a job left unfinished. This one takes the highest that has a marker
    (`include.tfx_airflow.contract.spans`) beside its files.

    SpanExampleGen(
        input_base="/data/spans",
        input_config=Input(splits=[Input.Split(name="all", pattern="{SPAN}/v{VERSION}/data-*")]),
        range_config=RuntimeParameter(name="range_config", ptype=str),
    )
    """

    DRIVER_CLASS = CompleteSpansDriver
