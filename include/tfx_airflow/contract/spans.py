"""The layout of a span's data, and the marker of a complete version, for which a sensor and ExampleGen look.

    <root>/<span>/v<version>/data-00000-of-00002.csv
    <root>/<span>/v<version>/_SUCCESS                   written last

A span is a number, such as 201403 for March 2014. A span that is delivered again gets a higher version.
Standard library only; both interpreters use it.
"""

from __future__ import annotations

# Spark's and Hadoop's name for it, so a sensor can wait for their output directly.
MARKER = "_SUCCESS"
