"""The list of what changed between two runs, as pages show it."""

from __future__ import annotations

import dataclasses

import bs4
from mlmd_panel.evaluation.changes.causes import causes
from mlmd_panel.evaluation.changes.changed import Changed, Changes
from mlmd_panel.web import pages
from mlmd_panel.web.links import NoLinks, Urls

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
