"""Serves the panel for one ML Metadata store on this machine, without Airflow and without a login."""

from __future__ import annotations

import argparse
import ipaddress
import socket

from mlmd_panel.commands import store_options
from mlmd_panel.errors import SettingsError

EXAMPLES = """\
  python -m mlmd_panel --mlmd sqlite:////srv/tfx/mlmd/metadata.db
  python -m mlmd_panel --mlmd metadata/taxi/metadata.db --roots pipelines:s3://bucket/pipelines
  MLMD_PASSWORD=... python -m mlmd_panel --mlmd postgresql://mlmd@db.example/mlmd --port 8082
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's options."""
    store_options.add_arguments(parser)
    parser.add_argument(
        "--port", type=int, default=8081, help="Port to listen on; 0 picks a free one. Default: 8081."
    )
    parser.add_argument("--host", default="127.0.0.1", help="Address to listen on. Default: 127.0.0.1.")
    parser.add_argument(
        "--without-login",
        action="store_true",
        help="allow a --host that other machines can reach; anyone who reaches it sees everything",
    )


def run(options: argparse.Namespace) -> int:
    """Serves until stopped.

    Raises:
      SettingsError: An option is not valid, or the port is taken.
      StoreError: The store cannot be read.
    """
    import uvicorn
    from starlette.middleware.gzip import GZipMiddleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from mlmd_panel.web.app import Panel, create_app

    local = _is_local(options.host)
    if not local and not options.without_login:
        raise SettingsError(
            f"Other machines can reach --host {options.host}, and the standalone panel has no login: add "
            "--without-login if everyone who can reach this machine may see everything, or use the panel in Airflow."
        )
    opened = store_options.opened(options, pages=True)
    panel = Panel(opened.store, opened.files, title=opened.settings.title, repository=opened.repository)
    app = create_app(panel)
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
        _say(
            f"Artifact files are read from {', '.join(opened.roots)}."
            if opened.roots
            else "Artifact files are not read; set --roots to show their contents."
        )
        if not local:
            _say("WARNING: there is no login; anyone who can reach this machine sees everything.")
        _say(f"http://{host}:{listener.getsockname()[1]}/  (Press Ctrl-C to stop)")
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, lifespan="off"
        )
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _say(line: str) -> None:
    print(line, flush=True)
