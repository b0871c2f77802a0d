"""Where this bundle is."""

from __future__ import annotations

from pathlib import Path

# The folder that holds dags/, include/ and plugins/.
BUNDLE_ROOT = Path(__file__).resolve().parents[3]
