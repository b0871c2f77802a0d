"""Creates the panel's FastAPI application."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlmd_panel.errors import PanelError
from mlmd_panel.web import error_pages, routes
from mlmd_panel.web.request import Panel
from mlmd_panel.web.threads import Threads

__all__ = ["Panel", "create_app"]

_HEADERS = {
    # Plotly fills style elements itself: without 'unsafe-inline' for styles it draws every chart wrong. Scripts stay
    # strict: no inline script, no eval.
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'self'; base-uri 'none'; form-action 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "private, no-store",
}


def create_app(
    panel: Panel,
    dependencies: Sequence[Any] = (),
    readable: Callable[..., Any] | None = None,
    threads: Threads | None = None,
    may_read_code: Callable[[Request], bool] | None = None,
) -> FastAPI:
    """The panel's application.

    Args:
      panel: What to show.
      dependencies: FastAPI dependencies that guard every route, including static files, unknown pages and the API's
        description.
      readable: FastAPI dependency that returns the DAG ids whose rows the request's user may see, or None for
        everything; without it every request sees everything. Not called for static files.
      threads: Threads on which pages are made; by default the panel's own.
      may_read_code: Whether the request's user may read the code of every DAG; without it everybody may.
    """

    seen = Depends(readable or _everything)

    async def remember(request: Request, dags: Any = seen) -> None:
        request.state.dags = dags

    app = FastAPI(
        title=panel.title,
        description="Every page of the panel as JSON.",
        dependencies=list(dependencies),
        # The dependencies would not guard FastAPI's own pages.
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.panel = panel
    app.state.may_read_code = may_read_code or _anybody
    app.exception_handler(PanelError)(error_pages.of_panel)
    app.exception_handler(RequestValidationError)(error_pages.of_parameters)
    app.exception_handler(HTTPException)(error_pages.of_http)
    app.add_middleware(_Outermost)
    app.include_router(routes.router(threads or Threads(), Depends(remember)))
    return app


async def _everything() -> None:
    return None


def _anybody(_: Request) -> bool:
    return True


class _Outermost:
    """Adds security headers to every response, and answers bugs without showing details."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                present = {name.lower() for name, _ in message["headers"]}
                added = [(k.encode(), v.encode()) for k, v in _HEADERS.items() if k.encode() not in present]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            if started:
                raise
            response = error_pages.unexpected(Request(scope, receive), error)
            await response(scope, receive, send_with_headers)
