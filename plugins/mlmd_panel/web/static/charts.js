// Draws the figures that stand in the page as JSON with plotly, in the colours of the page's theme.
"use strict";

(() => {
  // Colours are written as "var(--c1)" in the figures: plotly knows no CSS variables.
  function colours(value, style) {
    if (typeof value === "string") {
      return value.startsWith("var(--") ? style.getPropertyValue(value.slice(4, -1)).trim() : value;
    }
    if (Array.isArray(value)) return value.map((item) => colours(item, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, colours(item, style)]));
    }
    return value;
  }

  function draw(script) {
    const figure = JSON.parse(script.textContent);
    const { data, layout } = colours(figure, getComputedStyle(document.documentElement));
    const options = { displaylogo: false, responsive: true, modeBarButtonsToRemove: ["lasso2d", "select2d"] };
    const chart = script.previousElementSibling;
    Plotly.react(chart, data, layout, options);
    chart.removeAllListeners?.("plotly_click");
    chart.on?.("plotly_click", open);
  }

  // A point of a trend leads to its run.
  function open({ points: [point] }) {
    const link = point?.data.meta?.links?.[point.pointNumber];
    if (link) location.assign(new URL(link, location));
  }

  function drawAll() {
    for (const script of document.querySelectorAll("script[data-chart]")) {
      // What stands in a closed <details> has no size yet.
      const closed = script.closest("details:not([open])");
      if (closed) closed.addEventListener("toggle", () => draw(script), { once: true });
      else draw(script);
    }
  }

  drawAll();
  document.addEventListener("themechange", drawAll);
})();
