"""The options of commands that list, and how a list is written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from mlmd_panel.formats import utc

TEXT, JSON, CSV = "text", "json", "csv"


def add_arguments(parser: argparse.ArgumentParser, limit: int) -> None:
    """Adds the options of a list of so many rows."""
    parser.add_argument("--format", choices=[TEXT, JSON, CSV], default=TEXT, help="Default: text.")
    parser.add_argument(
        "--since", type=moment, metavar="TIME", help="created at or after, such as 2014-03-01, in UTC"
    )
    parser.add_argument("--until", type=moment, metavar="TIME", help="created before")
    parser.add_argument("--text", default="", help="part of a name, in either case")
    parser.add_argument(
        "--limit", type=positive, default=limit, metavar="N", help=f"rows at most. Default: {limit}."
    )
    parser.add_argument(
        "--after", type=positive, metavar="ID", help="only rows older than the one with this id"
    )


def moment(text: str) -> int:
    """A time such as 2014-03-01 or 2014-03-01T12:00+01:00 in milliseconds; in UTC unless it says otherwise."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2014-03-01") from None
    found = found if found.tzinfo else found.replace(tzinfo=timezone.utc)
    return round(found.timestamp() * 1000)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 2**31):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def warn_of_more(data: Mapping[str, Any]) -> None:
    """Says on standard error what the list does not have, whatever its format."""
    if data["searched_to"] is not None:
        print(
            f"The search took too long and stopped at {utc(data['searched_to'])}; "
            f"older rows: --after {data['after']}.",
            file=sys.stderr,
        )
    elif data["after"] is not None:
        print(f"There are more rows: --after {data['after']}, or a higher --limit.", file=sys.stderr)


def written(name: str, data: Mapping[str, Any], form: str, text: Callable[[], str]) -> str:
    """A list as it is printed.

    Args:
      name: The list `runs` or `artifacts`.
      data: As the page has it.
      form: CSV, JSON or text.
      text: Makes the text.
    """
    if form == CSV:
        from mlmd_panel.web import csv_table

        return csv_table.table(name, data)
    if form == JSON:
        from mlmd_panel.json_text import to_json

        return to_json(data).decode() + "\n"
    return text()
