"""How a program of the TFX side tells how far it has come, on standard error, and the Airflow side knows it there."""

from __future__ import annotations

# Before each such line: libraries write to standard error as well.
PREFIX = "==> "
