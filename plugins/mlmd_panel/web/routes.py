"""Routes of the pages, their JSON and CSV, and static files."""

from __future__ import annotations

import inspect
import mimetypes
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, RedirectResponse
from pydantic import BaseModel

from mlmd_panel.errors import NotFound
from mlmd_panel.json_text import to_json
from mlmd_panel.web import csv_table, links, pages
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.request import Visit
from mlmd_panel.web.threads import Threads
from mlmd_panel.web.views import (
    artifacts,
    compare,
    contexts,
    executions,
    home,
    lineage,
    nodes,
    pipelines,
    run,
    runs,
    search,
    trends,
    verdict,
)

PAGES: dict[str, Callable[..., Answer]] = {
    "/pipelines": pipelines.pipelines,
    "/runs": runs.runs,
    "/runs/{id}": run.run,
    "/runs/{id}/verdict": verdict.verdict,
    "/runs/{id}/nodes/{node:path}": nodes.node,
    "/executions": executions.executions,
    "/executions/{id}": executions.execution,
    "/artifacts": artifacts.artifacts,
    "/artifacts/{id}": artifacts.artifact,
    "/artifacts/{id}/lineage": lineage.lineage,
    "/contexts": contexts.contexts,
    "/contexts/{id}": contexts.context,
    "/compare": compare.compare,
    "/trends": trends.trends,
    "/search": search.search,
}
TABLES: dict[str, Callable[..., Answer]] = {
    "/runs": runs.runs,
    "/executions": executions.executions,
    "/artifacts": artifacts.artifacts,
    "/compare": compare.compare,
    "/trends": trends.trends,
}
MARKDOWN: dict[str, Callable[..., Answer]] = {"/compare": compare.compare}


_YEAR = 365 * 24 * 3600


class ErrorBody(BaseModel):
    """The body of every error in JSON."""

    ok: bool
    error: str
    status: int
    headline: str


def router(threads: Threads, seen: Any) -> APIRouter:
    """All routes; the catch-all comes last.

    Args:
      threads: Threads on which pages are made.
      seen: FastAPI dependency that records which DAGs the user may read, for pages that show the store.
    """
    made = APIRouter()

    def shows(path: str, view: Callable[..., Any], respond: _Respond, **options: Any) -> None:
        options = {"methods": ["GET", "HEAD"], "include_in_schema": False, **options}
        made.add_api_route(path, _endpoint(threads, view, respond), dependencies=[seen], **options)

    methods = ["GET", "HEAD"]
    shows("/", home.destination, _redirect)
    made.add_api_route("/api.json", _api, methods=methods, include_in_schema=False)
    made.add_api_route("/static/{file:path}", _static, methods=methods, include_in_schema=False)
    for path, view in TABLES.items():
        shows(f"{path}.csv", view, _csv)
    for path, view in MARKDOWN.items():
        shows(f"{path}.md", view, _markdown)
    errors = {status: {"model": ErrorBody} for status in (400, 404, 422, 500, 503)}
    for path, view in PAGES.items():
        shows(
            f"{path}.json",
            view,
            _json,
            methods=["GET"],
            include_in_schema=True,
            responses=errors,
            summary=(view.__doc__ or "").partition("\n")[0],
            operation_id=view.__name__,
        )
        shows(f"{path}.json", view, _json, methods=["HEAD"])
        shows(path, view, _html)
    made.add_api_route("/{path:path}", _nowhere, methods=methods, include_in_schema=False)
    return made


_Respond = Callable[[Visit, Any], Response]


def _endpoint(threads: Threads, view: Callable[..., Any], respond: _Respond) -> Callable[..., Any]:
    """A view and its response as a route, with the parameters of the view."""

    async def endpoint(**arguments: Any) -> Response:
        return await threads.run(_respond, view, respond, arguments)

    # FastAPI reads parameters from there; the names of their types are the view's module's.
    signature = inspect.signature(view, eval_str=True)
    endpoint.__signature__ = signature.replace(return_annotation=Response)  # type: ignore[attr-defined] # typeshed knows none
    endpoint.__doc__ = view.__doc__
    return endpoint


def _respond(view: Callable[..., Any], respond: _Respond, arguments: dict[str, Any]) -> Response:
    return respond(arguments["visit"], view(**arguments))


def _html(visit: Visit, answer: Answer) -> Response:
    headers = {"link": f'<{visit.urls.twin("json")}>; rel="alternate"; type="application/json"'}
    html = pages.page(answer, visit.panel, visit.urls, visit.dags is None)
    response = Response(html, headers=headers, media_type="text/html")
    for name, value in answer.cookies.items():
        path = visit.urls.root or "/"
        if value is None:
            response.delete_cookie(name, path)
        else:
            response.set_cookie(name, value, _YEAR, path=path, httponly=True, samesite="strict")
    return response


def _json(visit: Visit, answer: Answer) -> Response:
    body = to_json({"ok": True, "title": answer.title, **answer.data})
    return Response(body, media_type="application/json")


def _csv(visit: Visit, answer: Answer) -> Response:
    name = answer.template.removesuffix(".html")
    headers = {"content-disposition": f'attachment; filename="{name}.csv"'}
    text = answer.csv() if answer.csv else csv_table.table(name, answer.data)
    return Response(text, headers=headers, media_type="text/csv; charset=utf-8")


def _markdown(visit: Visit, answer: Answer) -> Response:
    text = answer.markdown() if answer.markdown else ""
    return Response(text, media_type="text/markdown; charset=utf-8")


def _redirect(visit: Visit, destination: str) -> Response:
    return RedirectResponse(destination, status_code=302)


async def _api(request: Request) -> Response:
    description = {**request.app.openapi(), "servers": [{"url": request.scope.get("root_path", "") or "/"}]}
    return Response(to_json(description), media_type="application/json")


async def _static(request: Request, file: str) -> Response:
    path = links.static_file(file)
    if path is None:
        raise NotFound("There is no such file.")
    current = request.query_params.get("v") == links.version(file)
    keep = "private, max-age=31536000, immutable" if current else "private, no-cache"
    media_type = mimetypes.guess_type(file)[0] or "application/octet-stream"
    return FileResponse(path, headers={"cache-control": keep}, media_type=media_type)


async def _nowhere(path: str) -> Response:
    raise NotFound("There is no such page.")
