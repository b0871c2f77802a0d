"""The error of an input file that cannot be read."""

from __future__ import annotations


class InputFileError(ValueError):
    """An input file is not what it has to be; the message names it, the place and the cure."""
