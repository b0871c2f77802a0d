"""The data that ship with the tfx package."""

from __future__ import annotations

import importlib.util
import os


def sample_data_root() -> str:
    """Returns the folder of the 15,002 Chicago taxi trips shipped inside the tfx package.

    Source: City of Chicago, Taxi Trips 2013-2016, sampled by the TFX authors.

    Raises:
        ModuleNotFoundError: The tfx package is not installed.
    """
    spec = importlib.util.find_spec("tfx")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("The sample data are part of the tfx package.", name="tfx")
    package = spec.submodule_search_locations[0]
    return os.path.join(package, "examples", "chicago_taxi_pipeline", "data", "simple")
