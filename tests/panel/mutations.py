"""How many times as many random changes as usual the tests make that damage files: `make test-long` makes more."""

from __future__ import annotations

import os

MUTATIONS = int(os.environ.get("MUTATIONS", "1"))
