"""Lists the artifacts of a store, newest first."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

from mlmd_panel.commands import list_options, store_options
from mlmd_panel.formats import utc

EXAMPLES = """\
  python -m mlmd_panel artifacts --mlmd metadata.db --type Model --producer Trainer
  python -m mlmd_panel artifacts --mlmd metadata.db --type Examples --property 'span>=201401' --format json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    store_options.add_arguments(parser, "title", "repository")
    list_options.add_arguments(parser, 50)
    parser.add_argument("--type", default="", help="type name, such as Model")
    parser.add_argument("--state", default="", help="LIVE, DELETED or another state of MLMD")
    parser.add_argument("--pipeline", default="", metavar="NAME", help="that produced or used it")
    parser.add_argument("--run", metavar="RUN", help="that produced or used it; named as for diff")
    parser.add_argument("--producer", default="", metavar="NODE", help="node that produced it")
    parser.add_argument("--uri", default="", help="start of its URI")
    parser.add_argument(
        "--property",
        action="append",
        default=[],
        metavar="FILTER",
        help="such as 'span>=201401', 'blessed=1' or 'pushed_destination~serving'; may be repeated",
    )


def run(options: argparse.Namespace) -> int:
    """Prints the list.

    Raises:
      PanelError: The store cannot be read, or an option is not valid.
    """
    from mlmd_panel.store.filters import ArtifactFilter, PropertyFilter
    from mlmd_panel.store.run_references import refer

    properties = tuple(map(PropertyFilter.of_text, options.property))
    store = store_options.opened(options).store
    wanted = ArtifactFilter(
        pipeline=options.pipeline,
        run=refer(store, None, options.run, options.pipeline).run.run.id if options.run else None,
        type=options.type,
        state=options.state,
        producer=options.producer,
        properties=properties,
        uri=options.uri,
        since=options.since,
        until=options.until,
        text=options.text,
    )
    page = store.artifacts(wanted, None, limit=options.limit, after=options.after)
    data = {
        "filter": dataclasses.asdict(wanted),
        "artifacts": page.rows,
        "after": page.after,
        "searched_to": page.searched_to,
    }
    sys.stdout.write(list_options.written("artifacts", data, options.format, lambda: _text(data)))
    list_options.warn_of_more(data)
    return 0


def _text(data: Mapping[str, Any]) -> str:
    from mlmd_panel.commands.text_table import text_table

    rows = [
        [str(one.id), one.type, one.name or "–", one.state, utc(one.created)[:19], one.uri or "–"]
        for one in data["artifacts"]
    ]
    return text_table(["id", "type", "name", "state", "created", "uri"], rows, right=["id"])
