"""What a page was made from goes with it."""

from __future__ import annotations

import gc
import types
import weakref

from mlmd_panel.errors import PanelError
from mlmd_panel.web import pages
from mlmd_panel.web.links import NoLinks, Urls


def test_values_of_a_page_do_not_wait_for_the_collector() -> None:
    class Links(NoLinks):
        pass

    links = Links()
    panel = types.SimpleNamespace(links=links, title="panel")
    gone = weakref.ref(links)
    gc.collect()
    gc.disable()
    try:
        assert "a reason" in pages.error_page(PanelError("a reason"), panel, Urls("", "/", ()))
        del panel, links
        assert gone() is None
    finally:
        gc.enable()
