// How a chart is drawn: uPlot's options from the page's colours, axes in the metric's unit, and the cursor's tooltip.
import { nearest } from "./chart_series.js";
import { local } from "./clock.js";
import { label, text, unit } from "./format.js";

const HEIGHT = 220;
const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]]; // lines differ by more than colour
const DAY = 86400000;
const POWERS_OF_TWO = Array.from({ length: 60 }, (_, i) => 2 ** i);
const CLOCK_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 432000,
  864000, 2592000, 8640000, 31536000];
const FROM_ZERO = new Set(["%", "B", "B/s", "s", "lx", "ppm", "rpm"]);

/** A new plot of `columns` inside `place`. `span()` tells the shown [from, to] in milliseconds. */
export function draw(place, metrics, columns, span) {
  const colours = coloursOf(place);
  const size = { width: place.clientWidth, height: HEIGHT };
  const options = {
    ...size,
    ms: 1,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 7 }, dataIdx: nearestIn(span) },
    scales: { x: { time: true, range: span }, y: { range: valueRange(unit(metrics[0])) } },
    axes: [timeAxis(colours), valueAxis(colours, metrics[0])],
    series: [{}, ...metrics.map((metric, i) => line(metric, i, colours))],
    hooks: { init: [addTip], setCursor: [(plot) => moveTip(plot, metrics)] },
  };
  return new globalThis.uPlot(options, columns, place);
}

// The canvas cannot read custom properties, so the browser resolves them on real elements first.
function coloursOf(place) {
  const colour = (name) => {
    const probe = document.createElement("i");
    probe.className = name;
    place.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
  return { text: colour("axis-colour"), grid: colour("grid-colour"), lines: [1, 2, 3, 4].map((i) => colour(`series-${i}`)) };
}

function line(metric, i, colours) {
  const stroke = colours.lines[i];
  return { label: label(metric), stroke, width: 1.75, dash: DASHES[i], points: { show: isSparse, size: 4, fill: stroke } };
}

// Few points are dots; many are a line, and dots only where a gap leaves one alone.
function isSparse(plot, _series, first, last) {
  return last - first < plot.width / 24;
}

function timeAxis({ text: stroke, grid }) {
  const lines = { stroke: grid, width: 1 };
  return { stroke, grid: lines, ticks: lines, space: 64, values: (_plot, splits, _axis, _space, step) => splits.map((at, i) => timeWord(at, step, i)) };
}

function timeWord(at, step, i) {
  const [date, clock] = local(at).split(" ");
  const day = date.slice(5);
  if (step >= DAY) return day;
  const word = step < 60000 ? clock : clock.slice(0, 5);
  return i === 0 || clock === "00:00:00" ? `${word}\n${day}` : word;
}

function valueAxis({ text: stroke, grid }, metric) {
  const lines = { stroke: grid, width: 1 };
  const values = (_plot, splits) => splits.map((value) => axisWord(metric, value));
  return { stroke, grid: lines, ticks: { show: false }, size: widest, values, ...steps(unit(metric)) };
}

function steps(measured) {
  if (measured === "B" || measured === "B/s") return { incrs: POWERS_OF_TWO };
  return measured === "s" ? { incrs: CLOCK_STEPS } : {};
}

function axisWord(metric, value) {
  const scaled = ["B", "B/s", "s"].includes(unit(metric));
  if (scaled) return value === 0 ? "0" : text(metric, value).replace(/\.0+(?=\D)/, "").replace(/ 0 [hms]$/, "");
  return String(Number(value.toPrecision(6)));
}

function widest(plot, words) {
  if (!words) return 44;
  plot.ctx.save();
  plot.ctx.font = plot.axes[1].font[0];
  const width = Math.max(...words.map((word) => plot.ctx.measureText(word).width)) / devicePixelRatio;
  plot.ctx.restore();
  return Math.ceil(width) + 16;
}

function valueRange(measured) {
  const bottom = FROM_ZERO.has(measured) ? { pad: 0, soft: 0, mode: 1 } : { pad: 0.1, mode: 0 };
  const top = measured === "%" ? { pad: 0.1, soft: 10, mode: 1 } : { pad: 0.1, mode: 0 };
  return (_plot, low, high) => (low === null ? [0, 1] : globalThis.uPlot.rangeNum(low, high === low ? high + 1 : high, { min: bottom, max: top }));
}

function nearestIn(span) {
  return (plot, series, index) => {
    const [from, to] = span();
    return series === 0 ? index : nearest(plot.data[0], plot.data[series], index, (to - from) / 50);
  };
}

function addTip(plot) {
  plot.tip = document.createElement("div");
  plot.tip.className = "chart-tip";
  plot.tip.hidden = true;
  plot.over.append(plot.tip);
}

/** What stands under the cursor: [time, [[metric, value], …]] or null. */
export function underCursor(plot, metrics) {
  const { idx, idxs } = plot.cursor;
  if (idx === null || idx === undefined) return null;
  const values = metrics.map((metric, i) => [metric, idxs[i + 1] === null ? null : plot.data[i + 1][idxs[i + 1]]]);
  return values.some(([, value]) => value !== null && value !== undefined) ? [plot.data[0][idx], values] : null;
}

function moveTip(plot, metrics) {
  const found = plot.cursor.left >= 0 ? underCursor(plot, metrics) : null;
  plot.tip.hidden = !found;
  if (!found) return;
  plot.tip.replaceChildren(...tipLines(found));
  const room = plot.over.clientWidth - plot.tip.offsetWidth;
  const left = plot.cursor.left < room - 12 ? plot.cursor.left + 12 : plot.cursor.left - plot.tip.offsetWidth - 12;
  plot.tip.style.transform = `translateX(${Math.round(Math.max(0, Math.min(left, room)))}px)`;
}

function tipLines([at, values]) {
  const time = document.createElement("b");
  time.textContent = local(at);
  const lines = values.map(([metric, value], i) => {
    const made = document.createElement("span");
    made.className = `key series-${i + 1}`;
    made.textContent = `${label(metric)} ${text(metric, value)}`;
    return made;
  });
  return [time, ...lines];
}
