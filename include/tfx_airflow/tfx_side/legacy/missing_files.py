"""Files and programs that are not there when a legacy DAG file is executed."""

from __future__ import annotations

import os
import subprocess
import traceback

from include.tfx_airflow.contract.legacy import LegacyFile

_OF_TENSORFLOW = "; No such file or directory"


def explain(error: BaseException, file: LegacyFile) -> str:
    """What to say of a file that is not there, and where it was looked for; "" for another error."""
    path = _path(error) or _path(error.__cause__)
    if not path or "://" in path:
        return ""
    if traceback.extract_tb(error.__traceback__)[-1].filename == subprocess.__file__:
        return f"there is no program {path!r} where the file is executed: install it for Airflow's DAG processor."
    if os.path.isabs(path):
        return (
            f"there is no {path!r}, which executing the file needs: copy it to the machine of Airflow's DAG processor, or "
            "change the path."
        )
    if file.working_folder:
        return (
            f"there is no {path!r} in the working folder {file.working_folder!r}: copy it there, or give adopt another "
            "working_folder."
        )
    return (
        f"there is no {path!r}, which is meant from the working directory: here the bundle's root, under Airflow 2 the "
        "folder in which it was started. Name that folder: adopt(..., working_folder='/srv/airflow')."
    )


def _path(error: BaseException | None) -> str:
    if isinstance(error, FileNotFoundError) and isinstance(error.filename, (str, bytes, os.PathLike)):
        return os.fsdecode(error.filename)
    if type(error).__module__.startswith("tensorflow.") and str(error).endswith(_OF_TENSORFLOW):
        return str(error).removesuffix(_OF_TENSORFLOW)
    return ""
