// Themes, times in the user's zone, keys, sortable tables, and links to Airflow's pages from inside its frame.
"use strict";

// Airflow shows this page in a frame of its own origin; its theme is a class of its <html>. Alone, the system decides.
const airflow = (() => {
  try {
    return window.parent !== window && window.parent.document ? window.parent : null;
  } catch {
    return null; // framed by another origin
  }
})();
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function applyTheme() {
  const outer = airflow?.document.documentElement.classList;
  const theme = outer?.contains("dark") ? "dark" : outer?.contains("light") ? "light" : dark.matches ? "dark" : "light";
  if (document.documentElement.dataset.theme !== theme) {
    document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new Event("themechange"));
  }
}
applyTheme();
dark.addEventListener("change", applyTheme);
if (airflow) {
  new MutationObserver(applyTheme).observe(airflow.document.documentElement, { attributeFilter: ["class"] });
}

function localTimes() {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  for (const time of document.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (!Number.isNaN(moment.valueOf())) {
      time.title = `${exact.format(moment)}, ${time.dateTime}`;
      time.textContent = format.format(moment);
    }
  }
}

// What the page itself does not ask the server for stands in its address too.
function remember(name, value) {
  const url = new URL(location);
  if (value) url.searchParams.set(name, value);
  else url.searchParams.delete(name);
  history.replaceState(history.state, "", url);
}

function remembered(name) {
  return new URLSearchParams(location.search).get(name) ?? "";
}

// The address has the header's text, with a minus before it when the largest comes first: `sort`, `sort2` for the second table.
function sortable(table, place) {
  const name = place ? `sort${place + 1}` : "sort";
  for (const header of table.tHead.rows[table.tHead.rows.length - 1].cells) {
    if (header.dataset.sort === undefined) continue;
    const title = header.textContent.trim();
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    const sort = (down) => {
      for (const other of table.tHead.querySelectorAll("th")) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      const body = table.tBodies[0];
      const key = (row) => row.cells[header.cellIndex]?.dataset.value ?? row.cells[header.cellIndex]?.textContent.trim() ?? "";
      const sorted = [...body.rows].sort((a, b) => compare(key(a), key(b), down));
      body.append(...sorted);
    };
    button.addEventListener("click", () => {
      const down = header.getAttribute("aria-sort") !== "descending";
      sort(down);
      remember(name, (down ? "-" : "") + title);
    });
    if ([title, `-${title}`].includes(remembered(name))) sort(remembered(name) !== title);
  }
}

// What is missing stays at the end in both directions, and what is not a number before it.
function compare(a, b, down) {
  const [lackA, lackB] = [a, b].map((value) => (value === "" ? 2 : value === "NaN" ? 1 : 0));
  if (lackA || lackB) return lackA - lackB;
  const [x, y] = [Number(a), Number(b)];
  const order = Number.isNaN(x) || Number.isNaN(y) ? a.localeCompare(b, undefined, { numeric: true }) : (x > y) - (x < y);
  return down ? -order : order;
}

// The frame's sandbox blocks links to the window around it, and Airflow inside Airflow helps nobody: its own router is
// told to go there. It listens to popstate, as for the browser's back button.
function toAirflow(event) {
  const link = event.target.closest?.("a[data-airflow]");
  if (!link || !airflow || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
  event.preventDefault();
  const state = { ...airflow.history.state, idx: (airflow.history.state?.idx ?? 0) + 1, key: Math.random().toString(36).slice(2, 10) };
  airflow.history.pushState(state, "", link.href);
  airflow.dispatchEvent(new PopStateEvent("popstate", { state }));
}

function keys(event) {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName) || event.target.isContentEditable;
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    document.getElementById("search")?.focus();
  }
}

function filterRows(input) {
  const rows = document.querySelectorAll(`#${CSS.escape(input.dataset.filters)} [data-name]`);
  const apply = () => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of rows) row.hidden = !row.dataset.name.toLowerCase().includes(wanted);
  };
  const name = `only-${input.dataset.filters}`;
  input.value = remembered(name);
  input.addEventListener("input", () => {
    apply();
    remember(name, input.value.trim());
  });
  apply();
}

// Where the clipboard is not to be had, as in Airflow's frame, the text is selected to be copied by hand.
async function copy(button) {
  const source = document.getElementById(button.dataset.copies);
  const closed = source.closest("details:not([open])");
  if (closed) closed.open = true;
  getSelection().selectAllChildren(source);
  try {
    await navigator.clipboard.writeText(source.textContent);
    button.textContent = "Copied";
  } catch {
    button.textContent = document.execCommand("copy") ? "Copied" : "Selected: press Ctrl+C";
  }
}

document.addEventListener("DOMContentLoaded", () => {
  localTimes();
  document.querySelectorAll("table.sortable").forEach(sortable);
  document.querySelectorAll("input[data-filters]").forEach(filterRows);
  // A choice in a filter applies at once; empty fields do not clutter the address.
  for (const form of document.querySelectorAll("form[method=get]")) {
    if (!("byButton" in form.dataset)) form.addEventListener("change", (event) => event.target.matches("select, input[type=checkbox]:not(.choices *)") && form.requestSubmit());
    form.addEventListener("submit", () => {
      for (const field of form.elements) if (field.name && field.value === "") field.disabled = true;
    });
  }
  for (const button of document.querySelectorAll("button[data-copies]")) button.addEventListener("click", () => copy(button));
  const here = document.querySelector(".graph .here");
  const graph = here?.closest(".graph");
  if (graph) {
    const [box, frame] = [here.getBoundingClientRect(), graph.getBoundingClientRect()];
    graph.scrollLeft += box.left - frame.left - frame.width / 2;
    graph.scrollTop += box.top - frame.top - frame.height / 2;
  }
});
document.addEventListener("click", toAirflow);
document.addEventListener("keydown", keys);
window.addEventListener("pageshow", (event) => {
  if (event.persisted) for (const field of document.querySelectorAll("form :disabled")) field.disabled = false;
});
