"""The list of what changed between two runs, as pages show it."""

from __future__ import annotations

import dataclasses
from typing import Any

import bs4
from mlmd_panel.evaluation.changes.causes import causes
from mlmd_panel.evaluation.changes.changed import Changed, Changes, RunOf
from mlmd_panel.evaluation.changes.code import CodeChange
from mlmd_panel.evaluation.changes.code_files import FileChange
from mlmd_panel.evaluation.changes.code_lines import NoRepository
from mlmd_panel.files.allowed import Files
from mlmd_panel.files.repository import Repository
from mlmd_panel.web import pages
from mlmd_panel.web.links import NoLinks, Urls
from mlmd_panel.web.request import Panel, Visit

from tests.panel.changed_runs import BEFORE, NOW, changed_runs


def _shown(changes: Changes) -> bs4.BeautifulSoup:
    template = pages.environment().from_string(
        '{% import "_changes.html" as parts_of with context %}{{ parts_of.changed(changes, causes) }}'
    )
    html = template.render(
        changes=changes, causes=causes(changes), urls=Urls("/panel", "/compare", ()), links=NoLinks()
    )
    return bs4.BeautifulSoup(html, "html.parser")


def test_each_change_is_a_line_with_links_to_both_sides() -> None:
    changes = changed_runs().between(BEFORE, NOW)
    page = _shown(changes)
    lines = page.select("ul.changes > li")
    assert [line.bdi.text for line in lines] == [item.what for item in changes.items]
    for line, item in zip(lines, changes.items, strict=True):
        found = {link["href"] for link in line.find("span", class_="faint").find_all("a")}
        wanted = (*item.baseline_links[:3], *item.candidate_links[:3])
        assert found == {f"/panel/{link.page}/{link.id}" for link in wanted}
    text = page.get_text(" ")
    assert all(sentence in text for sentence in (*changes.unknown, *changes.same, *causes(changes).sentences))


def test_drift_has_both_histograms_and_the_threshold() -> None:
    page = _shown(changed_runs().between(BEFORE, NOW))
    line = next(li for li in page.select("ul.changes > li") if "evaluated data, split eval" in li.bdi.text)
    rows = {row.th.get_text(strip=True): row for row in line.select("tbody tr")}
    assert len(rows["city"].select("svg.bars")) == len(rows["fare"].select("svg.bars")) == 2
    assert "exceeded" in rows["city"].text and "kept" not in rows["city"].text
    assert rows["only now"].td.text == "only in the candidate's data"
    assert "0.11" in rows["city"].text


def test_schema_and_anomalies_are_tables() -> None:
    text = _shown(changed_runs().between(BEFORE, NOW)).get_text(" ")
    assert "Chur" in text and "Genf" in text and "Often missing." in text and "still there" in text


def test_texts_of_the_store_are_escaped_and_nothing_changed_is_said() -> None:
    hostile = "<script>alert(1)</script>"
    changes = changed_runs().between(NOW, NOW)
    assert "Nothing changed" in _shown(changes).text
    page = _shown(dataclasses.replace(changes, items=(Changed("code", hostile),), unknown=(hostile,)))
    assert not page.find("script") and page.text.count(hostile) == 2


_DIFF = """diff --git a/flows/model.py b/flows/model.py
--- a/flows/model.py
+++ b/flows/model.py
@@ -1,2 +1,2 @@
-units = "<b>"
---units
+units = 9
 rate = 1"""


def _of_code(**more: Any) -> Changes:
    files = (
        FileChange("flows/model.py", "changed", "a" * 16, "b" * 16),
        FileChange("<i>.py", "added", None, "c" * 16),
    )
    change = CodeChange(
        "Trainer", "Trainer", "flows.model", "flows.model", "aaaa", "bbbb", files=files, **more
    )
    run = RunOf("taxi", "one", (), False, None, None)
    return Changes((Changed("code", "Code of Trainer", details=change),), (), (), run, run)


def test_code_is_a_list_of_files_and_a_folded_diff_with_signs() -> None:
    page = _shown(_of_code(baseline_version="d" * 40, candidate_version="e" * 40 + "+changes", diff=_DIFF))
    rows = [
        [cell.get_text(strip=True) for cell in row.find_all(["th", "td"])] for row in page.select("tbody tr")
    ]
    assert rows == [["flows/model.py", "changed", "a" * 16, "b" * 16], ["<i>.py", "added", "none", "c" * 16]]
    [diff] = page.select("details pre.diff")
    assert diff.find_parent("details").get("open") is None
    assert [line.text for line in diff.find_all(recursive=False)] == _DIFF.split("\n")
    assert [line.text for line in diff.find_all("ins")] == ["+units = 9"]
    assert [line.text for line in diff.find_all("del")] == ['-units = "<b>"', "---units"]
    text = " ".join(page.get_text(" ").split())
    assert f"Bundle {'d' * 12} → {'e' * 12} with changes that were not committed" in text


def test_diff_that_is_not_all_says_so_where_it_is_folded() -> None:
    page = _shown(_of_code(diff=_DIFF, diff_cut=True, not_as_committed=("flows/model.py",), cut=True))
    titles = [summary.text for summary in page.select("summary")]
    assert titles == ["Files: 2 or more", "Lines, though not all"]
    assert "changed, not as committed" in page.text and "here the diff is cut" in page.text
    assert not _shown(_of_code()).select("pre.diff")


def test_only_who_sees_everything_and_may_read_code_is_shown_lines() -> None:
    made = changed_runs()
    panel = Panel(made.store, Files([str(made.folder)]), repository=Repository())
    urls = Urls("/panel", "/compare", ())
    assert Visit(panel, None, urls).code is panel.repository
    for visit in (
        Visit(panel, frozenset(["taxi"]), urls),
        Visit(panel, None, urls, may_read_code=lambda: False),
    ):
        assert isinstance(visit.code, NoRepository) and "the code of every DAG" in visit.code.why
