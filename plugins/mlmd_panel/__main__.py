"""Serves the panel for one ML Metadata store on this machine, without Airflow and without a login."""

from __future__ import annotations

import argparse
import dataclasses
import ipaddress
import os
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy.engine import URL

from mlmd_panel.errors import PanelError, SettingsError
from mlmd_panel.settings import Settings, read_settings
from mlmd_panel.store import address

_EPILOG = """\
examples:
  python -m mlmd_panel --mlmd sqlite:////srv/tfx/mlmd/metadata.db
  python -m mlmd_panel --mlmd metadata/taxi/metadata.db --roots pipelines:s3://bucket/pipelines
  MLMD_PASSWORD=... python -m mlmd_panel --mlmd postgresql://mlmd@db.example/mlmd --port 8082

environment:
  MLMD_URL       the store, if --mlmd is not given
  MLMD_PASSWORD  its password; one in --mlmd is visible to everyone who can list this machine's processes
"""
# Names of folders that hold only stores; what the pipelines wrote is next to them.
_STORE_FOLDERS = ("mlmd", "metadata", "tfx_metadata")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mlmd_panel",
        description=__doc__,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    help_texts = {
        "mlmd": "SQLAlchemy URL of the store, or the path of an SQLite file",
        "roots": "folders, or prefixes such as s3://bucket/prefix, below which artifact files may be read, separated "
        "by ',' or ':'. Default: for an SQLite store in a folder named mlmd, metadata or tfx_metadata, the parent of "
        "that folder; otherwise none, and artifacts are shown without the contents of their files",
    }
    for field in dataclasses.fields(Settings):
        if field.name != "mlmd_conn_id":
            text = help_texts.get(field.name) or f"{field.metadata['help']} Default: {field.default}."
            parser.add_argument(f"--{field.name.replace('_', '-')}", help=text)
    parser.add_argument(
        "--port", type=int, default=8081, help="Port to listen on; 0 picks a free one. Default: 8081."
    )
    parser.add_argument("--host", default="127.0.0.1", help="Address to listen on. Default: 127.0.0.1.")
    parser.add_argument(
        "--without-login",
        action="store_true",
        help="allow a --host that other machines can reach; anyone who reaches it sees everything",
    )
    return parser


def store_url(text: str, environment: Mapping[str, str]) -> URL:
    """Address of the store.

    Args:
      text: Value of --mlmd, or "".
      environment: May hold MLMD_URL and MLMD_PASSWORD.

    Raises:
      SettingsError: No address is given, or it is not valid.
    """
    text = text or environment.get("MLMD_URL", "")
    if not text:
        raise SettingsError("No store given: use --mlmd sqlite:////path/metadata.db, or set MLMD_URL.")
    url = address.of_text(text) if "://" in text else address.of_file(os.path.abspath(text))
    password = environment.get("MLMD_PASSWORD")
    return url.set(password=password) if password and url.get_backend_name() != "sqlite" else url


def default_roots(url: URL) -> tuple[str, ...]:
    """The folder that holds both an SQLite store's folder and its pipelines; () if there is no such folder.

    Whoever writes a store chooses its URIs, so a folder is only guessed if its layout shows that it belongs to the
    pipelines, and it is never a home folder or the root folder.
    """
    if url.get_backend_name() != "sqlite" or not url.database or url.database.startswith("file:"):
        return ()
    for folder in Path(os.path.abspath(url.database)).parents:
        if folder.name in _STORE_FOLDERS:
            found = folder.parent
            return () if found in (Path(found.anchor), Path.home()) else (str(found),)
    return ()


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _serve(options: argparse.Namespace, say: Callable[[str], None]) -> None:
    import uvicorn
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from mlmd_panel.files.allowed import Files
    from mlmd_panel.store.engine import make_engine
    from mlmd_panel.store.store import Store
    from mlmd_panel.web.app import Panel, create_app

    local = _is_local(options.host)
    if not local and not options.without_login:
        raise SettingsError(
            f"Other machines can reach --host {options.host}, and the standalone panel has no login: add "
            "--without-login if everyone who can reach this machine may see everything, or use the panel in Airflow."
        )
    settings = read_settings(lambda name: getattr(options, name, None))
    url = store_url(settings.mlmd, os.environ)
    store = Store(make_engine(url))
    store.check()
    roots = settings.root_list() or default_roots(url)
    roots = tuple(root if "://" in root else os.path.abspath(os.path.expanduser(root)) for root in roots)
    files = Files(roots, settings.max_bytes, settings.max_entries)
    app = create_app(Panel(store, files, title=settings.title))
    app.add_middleware(GZipMiddleware)
    if local:
        # A web page elsewhere can make its own name resolve to 127.0.0.1; Host then has that name.
        names = ["localhost", "127.0.0.1", "[::1]", options.host]
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False)
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        listener = socket.create_server((options.host, options.port), family=family)
    except OSError as error:
        raise SettingsError(
            f"Cannot listen on port {options.port} of {options.host}: {error.strerror}. Choose another --port."
        ) from None
    with listener:
        host = f"[{options.host}]" if ":" in options.host else options.host
        say(
            f"Artifact files are read from {', '.join(roots)}."
            if roots
            else "Artifact files are not read; set --roots to show their contents."
        )
        if not local:
            say("WARNING: there is no login; anyone who can reach this machine sees everything.")
        say(f"http://{host}:{listener.getsockname()[1]}/  (Press Ctrl-C to stop)")
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, lifespan="off"
        )
        uvicorn.Server(config).run(sockets=[listener])


def main(arguments: list[str] | None = None) -> int:
    """Serves until stopped; returns 1 if the panel cannot be served."""
    try:
        _serve(_parser().parse_args(arguments), lambda line: print(line, flush=True))
    except PanelError as error:
        print(f"{error.headline}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
