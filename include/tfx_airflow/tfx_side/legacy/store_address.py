"""Names the ML Metadata store that a legacy pipeline asks for, and no password."""

from __future__ import annotations

from typing import Any


def of(config: Any) -> str:
    """Names a store without user and password, wherever in it they are."""
    address = _address(config)
    kind, mark, rest = address.partition("://")
    before, inner, server = "", "", rest
    if kind == "sqlite" and "://" in rest:  # some have the address of a server for the path of a file
        before, inner, server = rest.partition("://")
    if inner or kind != "sqlite":
        server = server.rpartition("@")[2]
    return f"{kind}{mark}{before}{inner}{server.partition('?')[0]}"


def _address(config: Any) -> str:
    if config is None:
        return ""
    kind = config.WhichOneof("config") if hasattr(config, "WhichOneof") else None
    if kind == "sqlite":
        return f"sqlite:///{config.sqlite.filename_uri}"
    if kind in ("mysql", "postgresql"):
        server = getattr(config, kind)
        database = server.database if kind == "mysql" else server.dbname
        port = f":{server.port}" if int(server.port or 0) else ""
        return f"{kind}://{server.host}{port}/{database}"
    return str(kind or type(config).__name__)
