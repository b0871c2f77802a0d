"""What a legacy DAG file is refused, and goes on without because it catches the error.

Files that know several versions of Airflow do so on purpose, and take another name; others would change what they make
without a word.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator

from include.tfx_airflow.contract.legacy import LegacyFile
from include.tfx_airflow.tfx_side.legacy import explain, tries, users_frames
from include.tfx_airflow.tfx_side.legacy.refused import Refusal


def notes(refusals: Iterable[Refusal], file: LegacyFile) -> list[str]:
    """What to say of them, one sentence for all lines of a refusal; nothing of a switch between versions."""
    found: dict[tuple[str, str], set[int]] = {}
    for refusal in refusals:
        frames = users_frames.of_users(refusal.frames, file)
        if frames and not _is_switch(frames):
            path, line = frames[0]
            found.setdefault((path, refusal.sentence), set()).add(line)
    return [
        f"{explain.place_of(path, lines, file)}{sentence} The file catches that, and goes on without it."
        for (path, sentence), lines in found.items()
    ]


def _is_switch(frames: list[tuple[str, int]]) -> bool:
    """Whether the `try` that catches the error has another name of Airflow in stock, or another of the same name."""
    for path, line in frames:
        # The last one in the tree is the innermost.
        for node in reversed(tries.around(path, line)):
            in_body, in_handlers = list(_imports(node.body)), list(_imports(node.handlers))
            of_airflow = any(module.partition(".")[0] == "airflow" for module, _ in in_handlers)
            return of_airflow or bool({name for _, name in in_body} & {name for _, name in in_handlers})
    return False


def _imports(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, str]]:
    """Module, and the name in the file, of what is imported there."""
    for node in nodes:
        for one in ast.walk(node):
            if isinstance(one, ast.Import):
                yield from ((alias.name, alias.asname or alias.name) for alias in one.names)
            elif isinstance(one, ast.ImportFrom):
                yield from ((one.module or "", alias.asname or alias.name) for alias in one.names)
