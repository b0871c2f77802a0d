"""A Beam program whose work on the workers is a function of on_workers.py."""

from __future__ import annotations

import argparse
import sys

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tests.pipelines import on_workers


def main() -> None:
    """Runs one pipeline, whose workers call the function once."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--function", required=True)
    known, beam_arguments = parser.parse_known_args()
    with beam.Pipeline(options=PipelineOptions(beam_arguments)) as pipeline:
        _ = pipeline | beam.Create([1]) | beam.Map(getattr(on_workers, known.function))


if __name__ == "__main__":
    sys.exit(main())
