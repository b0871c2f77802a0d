"""Checks the input files of a Beam program: below the folder that its author has chosen."""

from __future__ import annotations

import os
import re

from apache_beam.io.filesystems import FileSystems

from include.tfx_airflow.contract.input_files import LENGTH, PATTERN


def below(folder: str, pattern: str) -> str:
    """Returns the full pattern of the files, as Beam's sources take it.

    Args:
        folder: Folder or URL that the author of the DAG has chosen.
        pattern: Files below it that a run asks for, such as "2014/*.csv"; see `include.tfx_airflow.contract.input_files`.

    Raises:
        ValueError: There is no folder, the pattern is not a plain one, or a matching file is a link to elsewhere.
    """
    if not folder:
        raise ValueError(
            f"{pattern!r} is given without a folder; give the folder that contains these files, too."
        )
    if len(pattern) > LENGTH or not re.search(PATTERN, pattern):
        raise ValueError(
            f"{pattern!r} is not a pattern of files below {folder!r}: give names relative to it, such as 2014/*.csv, "
            "without '..', and no absolute path, URL or option."
        )
    whole = FileSystems.join(folder, pattern)
    if "://" in folder:  # no symbolic links
        return whole
    root = os.path.realpath(folder)
    [match] = FileSystems.match([whole])
    for file in match.metadata_list:
        if os.path.commonpath([root, os.path.realpath(file.path)]) != root:
            raise ValueError(
                f"{file.path!r} is a link to a file that is not below {folder!r}; copy it there."
            )
    return whole
