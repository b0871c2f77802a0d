"""Turns errors into responses, as JSON or as a page."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from mlmd_panel.errors import BadQuery, NotFound, PanelError
from mlmd_panel.json_text import to_json
from mlmd_panel.web import pages
from mlmd_panel.web.request import urls_of

_log = logging.getLogger(__name__)


class InternalError(PanelError):
    """A bug in the panel; details are in the log."""

    headline = "Something went wrong"


class Refused(PanelError):
    """An HTTP error of another layer, such as 405 or an access check's 403."""

    def __init__(self, message: str, status: int, headline: str) -> None:
        super().__init__(message)
        self.status = status
        self.headline = headline


def respond(error: PanelError, request: Request, headers: Mapping[str, str] | None = None) -> Response:
    """An error as JSON `{ok, error, status, headline}` or as a page, as the request wants it."""
    if _wants_json(request):
        body = {"ok": False, "error": str(error), "status": error.status, "headline": error.headline}
        return Response(to_json(body), error.status, headers, "application/json")
    html = pages.error_page(error, request.app.state.panel, urls_of(request))
    return Response(html, error.status, headers, "text/html")


def of_panel(request: Request, error: PanelError) -> Response:
    """Answers an error that a view raised; server errors are logged."""
    if error.status >= 500:
        # One line: a store that is down would fill the log with tracebacks that say no more.
        _log.error("%s: %s", error.headline, error)
    return respond(error, request)


def of_parameters(request: Request, error: RequestValidationError) -> Response:
    """Answers query parameters or ids that are not valid."""
    details = "; ".join(f"{'.'.join(map(str, e['loc'][1:]))}: {e['msg']}" for e in error.errors()[:5])
    bad = BadQuery(f"The request has invalid parameters: {details}.")
    bad.status = 422
    return respond(bad, request)


def of_http(request: Request, error: HTTPException) -> Response:
    """Answers what the framework or an access check raised."""
    if error.status_code == 404:
        return respond(NotFound("There is no such page."), request, error.headers)
    if error.status_code == 405:
        refused = Refused("The panel is read-only: it accepts only GET and HEAD.", 405, "Not allowed")
    else:
        detail = error.detail if isinstance(error.detail, str) else "The request was refused."
        refused = Refused(detail, error.status_code, "Not allowed" if error.status_code == 403 else "Refused")
    return respond(refused, request, error.headers)


def unexpected(request: Request, error: Exception) -> Response:
    """Answers a bug: the traceback goes to the log and is not shown."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return respond(InternalError("The panel could not create this page. See the web server's log."), request)


def _wants_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    asked = request.url.path.endswith((".json", ".csv"))
    return asked or ("application/json" in accept and "text/html" not in accept)
