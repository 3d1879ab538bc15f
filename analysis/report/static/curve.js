// A small chart of learning curves.

const SVG = "http://www.w3.org/2000/svg";

function drawn(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Curves ([[progress, loss]]) with a CSS colour each, the last on top; null where none has two points. */
function curveChart(curves) {
  const usable = curves.filter((curve) => curve.points.length > 1);
  const losses = usable.flatMap((curve) => curve.points.map((point) => point[1]));
  if (!losses.length) return null;
  const low = losses.reduce((a, b) => Math.min(a, b));
  const high = losses.reduce((a, b) => Math.max(a, b));
  const [left, right, top, bottom] = [44, 310, 10, 120];
  const x = (progress) => left + progress * (right - left);
  const y = (loss) => bottom - ((loss - low) / (high - low || 1)) * (bottom - top);
  const chart = drawn("svg", { class: "curve", viewBox: "0 0 330 140", role: "img" });
  chart.append(drawn("title", {}, `Training loss from ${high.toFixed(3)} to ${low.toFixed(3)}`));
  for (const level of [low, high]) {
    chart.append(drawn("line", { x1: left, x2: right, y1: y(level), y2: y(level), stroke: "var(--line)" }));
    chart.append(drawn("text", { x: left - 5, y: y(level) + 3, "text-anchor": "end" }, level.toPrecision(4)));
  }
  for (const share of [0, 0.5, 1]) {
    chart.append(drawn("text", { x: x(share), y: bottom + 15, "text-anchor": "middle" }, `${100 * share} %`));
  }
  for (const { points, colour } of usable) {
    const path = points.map(([progress, loss]) => `${x(progress).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
    chart.append(drawn("polyline", { points: path, fill: "none", stroke: colour, "stroke-width": 1.8 }));
  }
  return chart;
}
