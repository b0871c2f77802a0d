"""The panel without Airflow: serves it, or answers on the command line, for any ML Metadata store."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from mlmd_panel.commands import exit_codes
from mlmd_panel.commands.store_options import ENVIRONMENT
from mlmd_panel.errors import PanelError

# Each is a module of `commands`; without a command, the first.
COMMANDS = ("serve", "diff", "runs", "artifacts", "trend")


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns its exit code, see `commands.exit_codes`."""
    command, options = parsed(sys.argv[1:] if arguments is None else arguments)
    try:
        return command.run(options)
    except PanelError as error:
        print(f"{error.headline}: {error}", file=sys.stderr)
        return exit_codes.of_error(error)
    except KeyboardInterrupt:
        return 0
    except BrokenPipeError:  # of `| head`
        sys.stderr.close()
        return 0


def parsed(arguments: Sequence[str]) -> tuple[Any, argparse.Namespace]:
    """The module of the command that the arguments name, and its options."""
    named = bool(arguments) and arguments[0] in COMMANDS
    name = arguments[0] if named else ""
    command = importlib.import_module(f"mlmd_panel.commands.{name or COMMANDS[0]}")
    return command, _parser(command, name).parse_args(list(arguments)[named:])


def _parser(command: Any, name: str) -> argparse.ArgumentParser:
    others = "" if name else f"commands:\n{_summaries()}\n"
    parser = argparse.ArgumentParser(
        prog=f"python -m mlmd_panel {name}".rstrip(),
        description=command.__doc__,
        epilog=f"{others}examples:\n{command.EXAMPLES}\n{ENVIRONMENT}\n{exit_codes.TEXT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_arguments(parser)
    return parser


def _summaries() -> str:
    found = ((name, importlib.import_module(f"mlmd_panel.commands.{name}")) for name in COMMANDS)
    lines = (f"  {name:10} {(module.__doc__ or '').splitlines()[0]}" for name, module in found)
    return "\n".join([*lines, "  (without a command: serve; COMMAND --help tells its options)", ""])


if __name__ == "__main__":
    sys.exit(main())
