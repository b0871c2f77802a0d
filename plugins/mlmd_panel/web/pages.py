"""Renders answers as HTML with Jinja, which escapes every string from the store."""

from __future__ import annotations

import json
import math
from contextvars import ContextVar
from functools import cache
from typing import Any

import jinja2
import jinja2.runtime
from markupsafe import Markup

from mlmd_panel import formats
from mlmd_panel.errors import PanelError
from mlmd_panel.evaluation import paging
from mlmd_panel.json_text import plain
from mlmd_panel.web import charts, links, sparklines
from mlmd_panel.web.answer import Answer
from mlmd_panel.web.request import Panel, Urls


@cache
def environment() -> jinja2.Environment:
    """Templates with the panel's filters; undefined names are errors."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("mlmd_panel.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.context_class = _Context
    made.filters.update(
        number=formats.number,
        signed=formats.signed,
        counted=formats.counted,
        exact=formats.exact,
        percent=formats.percent,
        exact_percent=formats.exact_percent,
        size=formats.size,
        duration=formats.duration,
        utc=formats.utc,
        short_type=formats.short_type,
        last_path=formats.last_path,
        json_text=_json_text,
        script_json=_script_json,
    )
    made.globals.update(node_url=links.node_url, charts=charts, draw=sparklines, page_of=paging.page_of)
    return made


def page(answer: Answer, panel: Panel, urls: Urls, sees_all: bool) -> str:
    """The HTML of an answer.

    Args:
      sees_all: Nothing of the store is hidden from the user.
    """
    return _render(
        answer.template,
        **answer.data,
        **answer.only_html,
        title=answer.title,
        panel=panel,
        urls=urls,
        links=panel.links,
        sees_all=sees_all,
    )


def error_page(error: PanelError, panel: Panel, urls: Urls) -> str:
    """The HTML of a page that consists of an error."""
    return _render("error.html", error=error, title=error.headline, panel=panel, urls=urls, links=panel.links)


class _Context(jinja2.runtime.Context):
    """The variables of a template, or of one that it includes; noted, to be forgotten after the page."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        if (made := _contexts.get()) is not None:
            made.append(self)


_contexts: ContextVar[list[_Context] | None] = ContextVar("contexts", default=None)


def _render(name: str, **values: Any) -> str:
    """As `Template.render`, and lets go of the values at once.

    Jinja's macros and their contexts refer to each other. So the rows of a page would stay until Python's collector has
    gone through all objects of the process, which is rare, and in an Airflow server takes half a second.
    """
    made: list[_Context] = []
    token = _contexts.set(made)
    try:
        return environment().get_template(name).render(**values)
    finally:
        _contexts.reset(token)
        for context in made:
            context.parent.clear()
            context.vars.clear()


def _json_text(value: Any) -> str:
    return json.dumps(plain(value), indent=2, ensure_ascii=False)


def _script_json(value: Any) -> Markup:
    # HTML escapes do not work inside <script>: characters that could end the element become JSON escapes.
    text = json.dumps(_drawable(value), allow_nan=False)
    return Markup(text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"))


def _drawable(value: Any) -> Any:
    """A figure for plotly: NaN and infinity become null, which leaves a gap."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _drawable(item) for name, item in value.items()}
    return [_drawable(item) for item in value] if isinstance(value, (list, tuple)) else value
