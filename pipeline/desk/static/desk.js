// The desk's own script: the rate chart, a mark on what is new, and word of a lost connection. htmx swaps the rest.
"use strict";

(() => {
  const live = document.getElementById("live");
  const lost = document.querySelector(".lost");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  // A stream that ends or fails is tried again by the extension; until it is back the page says so.
  const setLost = (isLost) => {
    if (lost) lost.hidden = !isLost;
    document.body.classList.toggle("stale", isLost);
  };
  document.addEventListener("htmx:sse:error", () => setLost(true));
  document.addEventListener("htmx:sse:before:connection", (event) => {
    if (event.detail.connection.attempt > 0 && !document.hidden) setLost(true);
  });
  document.addEventListener("htmx:sse:after:connection", () => setLost(false));

  // A row that comes in while the page is open glows for a moment, so that the eye finds it.
  const alerts = document.getElementById("alerts");
  if (alerts) {
    new MutationObserver((changes) => {
      if (calm.matches) return;
      for (const change of changes) {
        for (const node of change.addedNodes) {
          if (node.nodeType === Node.ELEMENT_NODE && node.matches(".alert, .timeline > li")) {
            const glow = getComputedStyle(node).getPropertyValue("--glow");
            node.animate([{ backgroundColor: glow }, { backgroundColor: "transparent" }], { duration: 1800 });
          }
        }
      }
    }).observe(alerts, { childList: true, subtree: true });
  }

  // A newcomer reads the explanation once; closed, it stays closed in this tab.
  const explain = document.querySelector(".explain");
  if (explain) {
    if (sessionStorage.getItem("explained")) explain.open = false;
    explain.addEventListener("toggle", () => {
      if (explain.open) sessionStorage.removeItem("explained");
      else sessionStorage.setItem("explained", "1");
    });
  }

  const chart = document.getElementById("rate-chart");
  if (!chart || typeof uPlot === "undefined") return;

  const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: chart.dataset.zone });
  const columns = (text) => {
    const points = JSON.parse(text);
    const first = points.end - points.counts.length;
    return [points.counts.map((_, index) => first + index), points.counts];
  };
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let plot = null;
  let data = columns(chart.dataset.points);

  const axis = () => ({
    stroke: colour("--muted"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
  });
  const draw = () => {
    plot?.destroy();
    plot = new uPlot(
      {
        width: chart.clientWidth,
        height: chart.clientHeight,
        legend: { show: false },
        cursor: { show: false },
        padding: [6, 16, 0, 0],
        scales: { y: { range: (_, __, top) => [0, Math.max(4, top * 1.15)] } },
        axes: [
          {
            ...axis(), size: 20, space: 48,
            values: (_, ticks) => ticks.map((tick) => clock.format(tick * 1000)),
          },
          { ...axis(), size: 36, space: 26 },
        ],
        series: [{}, { stroke: colour("--accent"), width: 1.5, fill: colour("--accent-wash"), points: { show: false } }],
      },
      data,
      chart,
    );
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  new ResizeObserver(() => plot.setSize({ width: chart.clientWidth, height: chart.clientHeight })).observe(chart);
  live.addEventListener("rate", (event) => {
    data = columns(event.detail.data);
    plot.setData(data);
  });
})();
