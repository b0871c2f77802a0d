"""`python -m include.tfx_airflow`: compiles pipelines, checks the set-up, reports on runs, starts Airflow."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys

from include.tfx_airflow.contract.errors import TfxAirflowError

# A command has no time limit, unlike the DAG processor, and its output is for people.
OWN_ENVIRONMENT = {
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "0",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
}


def _number_or_all(text: str) -> int | str:
    return text if text == "all" else int(text)


def _add_gc(parser: argparse.ArgumentParser) -> None:
    keep = (
        ("--keep-runs", int, "N", "keep the newest N runs of each pipeline; default: 10"),
        ("--keep-days", float, "D", "keep what was made or used in the last D days; default: 30"),
        ("--keep-pushed", _number_or_all, "N", "keep the newest N pushes of each pipeline; default: all"),
        (
            "--keep-blessed",
            _number_or_all,
            "N",
            "keep the newest N blessed models of each pipeline; default: all",
        ),
    )
    for name, kind, placeholder, text in keep:
        parser.add_argument(name, type=kind, metavar=placeholder, help=text)
    parser.add_argument(
        "--grace",
        dest="keep_grace",
        type=float,
        metavar="D",
        help="days from setting files aside to deleting them; default: 7",
    )
    does = parser.add_mutually_exclusive_group()
    does.add_argument("--apply", metavar="HASH", help="carry out the plan of that hash")
    for action, text in (
        ("pin", "keep artifacts for good, with all that they were made from"),
        ("unpin", "let pinned artifacts go again"),
        ("restore", "bring back artifacts that are set aside, and pin them"),
    ):
        does.add_argument(f"--{action}", type=int, nargs="+", metavar="ID", help=text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.tfx_airflow", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    compile_ = commands.add_parser(
        "compile", help="compile the pipelines of all DAG files, or one, into [tfx_airflow] home"
    )
    compile_.add_argument("reference", nargs="?", help="module:function; default: all DAG files")
    compile_.add_argument(
        "arguments", nargs="*", metavar="NAME=JSON", help="arguments of the function, as in the DAG file"
    )
    compile_.add_argument(
        "--compiled-from",
        action="append",
        default=[],
        metavar="PATH",
        help="as in the DAG file's AirflowPipelineConfig; once for each of its paths",
    )
    adopt = commands.add_parser(
        "adopt",
        help="report what becomes of a DAG file, or a folder of them, written for TFX's Airflow runner",
    )
    adopt.add_argument("path", metavar="FILE|FOLDER")
    adopt.add_argument(
        "--working-folder",
        default="",
        metavar="FOLDER",
        help="from which relative paths in the files are meant, as a rule where Airflow 2 was started; default: the "
        "bundle's root, and relative paths are refused",
    )
    commands.add_parser("doctor", help="show what is configured, found and missing")
    mlmd = commands.add_parser(
        "mlmd", help="create the schema of the ML Metadata store, or show what it holds"
    )
    mlmd.add_argument("action", choices=["init", "status"])
    report = commands.add_parser("report", help="show what a DAG run made")
    report.add_argument("dag_id")
    report.add_argument("run_id", nargs="?", help="default: the latest run")
    history = commands.add_parser(
        "history", help="show the runs of a DAG as a table: span, window, metric, verdict"
    )
    history.add_argument("dag_id")
    replay = commands.add_parser("replay", help="run past data intervals of a DAG through the scheduler")
    replay.add_argument("dag_id")
    replay.add_argument("first", help="date of the first data interval, such as 2014-01-01")
    replay.add_argument("last", help="date of the last data interval")
    replay.add_argument(
        "--before", metavar="DAG", help="a DAG to run once beforehand, such as one that delivers data"
    )
    for command in (history, replay):
        command.add_argument("--metric", default="auc")
    demo = commands.add_parser("demo", help="run a DAG with 'airflow dags test' and show its report")
    demo.add_argument("dag_id")
    _add_gc(
        commands.add_parser("gc", help="plan which artifacts to delete, delete them, pin or restore some")
    )
    serve = commands.add_parser("serve", help="run the node server in the foreground, or stop it")
    serve.add_argument("--stop", action="store_true", help="stop it; running nodes finish first")
    workers = commands.add_parser(
        "beam-workers", help="serve Python workers to a Flink or Spark cluster on this machine"
    )
    workers.add_argument(
        "--host", default="127.0.0.1", help="address to serve at; default: this machine only"
    )
    workers.add_argument("--port", type=int, default=50000)
    workers.add_argument(
        "--runner", metavar="NAME", help="the Beam runner whose Connection has the token that jobs must bring"
    )
    up = commands.add_parser("up", help="start Airflow; Ctrl-C stops everything")
    up.add_argument("--port", type=int, default=int(os.environ.get("AIRFLOW__API__PORT", "8080")))
    return parser


def _compile(reference: str | None, arguments: list[str], compiled_from: list[str]) -> int:
    if reference is None:
        from include.tfx_airflow.commands import demo

        return demo.compile_all()
    from include.tfx_airflow.airflow_side.compiled import load
    from include.tfx_airflow.settings import read_settings

    values = {}
    for argument in arguments:
        name, sign, text = argument.partition("=")
        if not sign:
            raise SystemExit(
                f"{argument!r} is not NAME=JSON, such as rolling_window=6 or serving_dir='\"/srv\"'"
            )
        try:
            values[name] = json.loads(text)
        except ValueError:
            values[name] = text
    compiled = load(reference, values, read_settings(), force=True, compiled_from=compiled_from)
    how = "already compiled" if compiled.found else f"compiled in {compiled.seconds:.1f} s"
    print(f"{reference}: {len(compiled.manifest.nodes)} nodes, {how}: {compiled.folder}")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    if arguments.command == "serve":
        from include.tfx_airflow.commands import serve

        return serve.stop() if arguments.stop else serve.main()
    from include.tfx_airflow.commands import beam_workers

    return beam_workers.main(arguments.host, arguments.port, arguments.runner)


def _about_runs(arguments: argparse.Namespace) -> int:
    if arguments.command == "report":
        from include.tfx_airflow.commands import report

        return report.main(arguments.dag_id, arguments.run_id)
    if arguments.command == "history":
        from include.tfx_airflow.commands import history

        return history.main(arguments.dag_id, arguments.metric)
    from include.tfx_airflow.commands import demo

    return demo.main(arguments.dag_id)


def main(argv: list[str] | None = None) -> int:
    """Runs a command; returns its exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.command == "up":  # what it starts must not get OWN_ENVIRONMENT
        from include.tfx_airflow.commands import up

        return up.main(arguments.port)
    if arguments.command == "replay":
        from include.tfx_airflow.commands import replay

        return replay.main(
            arguments.dag_id, arguments.first, arguments.last, arguments.before, arguments.metric
        )
    os.environ.update(OWN_ENVIRONMENT)
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("include.tfx_airflow")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        if arguments.command == "compile":
            return _compile(arguments.reference, arguments.arguments, arguments.compiled_from)
        if arguments.command == "adopt":
            from include.tfx_airflow.commands import adopt

            return adopt.main(arguments.path, arguments.working_folder)
        if arguments.command == "doctor":
            from include.tfx_airflow.commands import doctor

            return doctor.main()
        if arguments.command == "mlmd":
            from include.tfx_airflow.commands import mlmd

            return mlmd.main(arguments.action)
        if arguments.command == "gc":
            from include.tfx_airflow.commands import gc

            return gc.main(arguments)
        if arguments.command in ("serve", "beam-workers"):
            return _serve(arguments)
        return _about_runs(arguments)
    except TfxAirflowError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
