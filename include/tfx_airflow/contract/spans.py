"""Where the data of a span lie, and when they are complete: what a sensor waits for, and ExampleGen reads.

    <root>/<span>/v<version>/data-00000-of-00002.csv
    <root>/<span>/v<version>/_SUCCESS                   written last

A span is a number, such as 201403 for March 2014. A span that is delivered again gets a higher version.
Standard library only; both interpreters use it.
"""

from __future__ import annotations

# Spark's and Hadoop's name for it, so that their output can be waited for as it is.
MARKER = "_SUCCESS"
