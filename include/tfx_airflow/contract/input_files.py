"""The file names that a run may ask for: names below a folder that the DAG's author has chosen.

Standard library only; both interpreters use it.
"""

from __future__ import annotations

# Names and patterns of Beam's `FileSystems.match`, such as 2014/*.csv: no absolute path, no `..`, no URL, no option, no
# hidden file, no `${HOME}`. Without the end a line break could follow.
_NAME = r"[\w*?\[][\w *?\[\]!.,+=@()-]*"
PATTERN = rf"^(?:{_NAME}/)*{_NAME}$(?!\n)"
LENGTH = 250
