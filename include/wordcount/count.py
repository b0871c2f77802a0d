"""`python -m include.wordcount.count`: counts how often each word occurs in a text.

A Beam pipeline is a plan. Each step below takes a PCollection, a bag of elements that may be larger
than any machine, and names a new one; none of them holds anything while the plan is written. Only when
the pipeline is run does a runner take the whole plan, see which steps can be fused into one pass over
the data, spread that over its workers, and move elements from step to step:

    lines   --FlatMap-->  words   --Map-->  (word, 1)   --CombinePerKey-->  (word, n)   --Map-->  text
            one line, many words                         the one shuffle: equal words meet
                                                         on one worker, partial sums only

That is why a step cannot print or return its result, why an error in a function appears when the
plan is run, and why the same plan runs in this process, in several, or on a Flink cluster: `--runner`.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions

from include.tfx_airflow.tfx_side.input_files import below

TEXT = Path(__file__).with_name("sonnets.txt")


def words(line: str) -> Iterator[str]:
    """Yields the words of a line in lower case, keeping apostrophes and hyphens inside them: "possess'd"."""
    Metrics.counter("wordcount", "lines").inc()
    for word in re.findall(r"[^\W\d_]+(?:['’-][^\W\d_]+)*", line.lower()):
        Metrics.counter("wordcount", "words").inc()
        yield word


def count(lines: beam.PCollection[str]) -> beam.PCollection[tuple[str, int]]:
    """Counts words.

    Args:
        lines: Lines of text, in any order.

    Returns:
        (word, how often), each word once, in any order: a PCollection has none.
    """
    return (
        lines
        | "Words" >> beam.FlatMap(words)
        | "One" >> beam.Map(lambda word: (word, 1))
        | "Sum" >> beam.CombinePerKey(sum)
    )


def most_frequent(path: str, number: int = 10) -> list[tuple[str, int]]:
    """Reads a result file; returns its most frequent words, equally frequent ones alphabetically."""
    with FileSystems.open(path) as file:
        counts = [line.rpartition(",") for line in file.read().decode().splitlines()]
    return sorted(((word, int(n)) for word, _, n in counts), key=lambda found: (-found[1], found[0]))[:number]


def main(arguments: list[str] | None = None) -> int:
    """Runs the pipeline; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m include.wordcount.count", description=__doc__, allow_abbrev=False
    )
    parser.add_argument("--folder", help="folder of the texts")
    parser.add_argument("--input", help="file pattern below it; empty for the sonnets beside this file")
    parser.add_argument("--output", required=True, help="file to write, one `word,count` a line")
    known, beam_arguments = parser.parse_known_args(arguments)
    try:
        text = below(known.folder or "", known.input) if known.input else str(TEXT)
    except ValueError as error:
        parser.error(str(error))
    pipeline = beam.Pipeline(options=PipelineOptions(beam_arguments))
    (
        count(pipeline | "Read" >> beam.io.ReadFromText(text))
        | "Format" >> beam.MapTuple(lambda word, number: f"{word},{number}")
        | "Write" >> beam.io.WriteToText(known.output, shard_name_template="")
    )
    result = pipeline.run()  # until here nothing was read
    result.wait_until_finish()
    print(f"The most frequent words, of all in {known.output!r}:")
    for word, number in most_frequent(known.output):
        print(f"{number:>10,}  {word}")
    print("Beam counters:")
    for counter in result.metrics().query(beam.metrics.MetricsFilter().with_namespace("wordcount"))[
        "counters"
    ]:
        print(f"{counter.result:>10,}  {counter.key.metric.name}")
    return 0


if __name__ == "__main__":
    from include.wordcount import count as module  # by its name, under which Beam's workers find it too

    sys.exit(module.main())
