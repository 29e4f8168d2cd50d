// How a thermostat's temperatures and humidity are drawn with uPlot: lines that differ by more than colour, a filled band.
import { local } from "./clock.js";
import { text } from "./format.js";

const HEIGHT = 300;
const NARROW = 600;
const DAY = 86400000;
const LINES = [
  { name: "inside", words: "Inside", metric: "temp_inside_c", width: 2.25, dash: [] },
  { name: "outside", words: "Outside", metric: "temp_outside_c", width: 1.5, dash: [7, 4] },
  { name: "setpoint", words: "Set-point", metric: "setpoint_c", width: 1.75, dash: [2, 3] },
  { name: "band", words: "Hysteresis band", width: 0 },
  { name: "band", width: 0 },
  { name: "humidity", words: "Humidity", metric: "humidity_percent", width: 1.25, dash: [10, 3, 2, 3], scale: "%" },
];

/** The plot, and [class, words] for its legend: what has no values is left out of it. */
export function draw(place, columns, span) {
  const colour = colours(place);
  const has = LINES.map((_, i) => columns[i + 1].some(Number.isFinite));
  const series = LINES.map(({ name, width, dash, scale = "°C" }, i) => ({
    stroke: width ? colour(`line-${name}`) : undefined,
    width, dash, scale, show: has[i], points: { show: width > 0 && isSparse, size: 3 },
  }));
  const options = {
    width: place.clientWidth, height: HEIGHT, ms: 1,
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: { x: { time: true, range: span }, "°C": { range: padded }, "%": { range: [0, 100] } },
    axes: axes(colour, place.clientWidth < NARROW, has.at(-1)),
    series: [{}, ...series],
    bands: [{ series: [4, 5], fill: colour("band-fill") }],
    hooks: { init: [addTip], setCursor: [moveTip] },
  };
  const plot = new globalThis.uPlot(options, columns, place);
  const keys = LINES.filter(({ words }, i) => words && has[i]).map(({ name, words }) => [`line-${name}`, words]);
  return { plot, keys };
}

// The canvas cannot read custom properties, so the browser resolves them on a real element first.
function colours(place) {
  return (name) => {
    const probe = document.createElement("i");
    probe.className = name;
    place.append(probe);
    const { color } = getComputedStyle(probe);
    probe.remove();
    return color;
  };
}

function isSparse(plot, _series, first, last) {
  return last - first < plot.width / 24;
}

function axes(colour, isNarrow, hasHumidity) {
  const stroke = colour("axis-colour");
  const lines = { stroke: colour("grid-colour"), width: 1 };
  const time = { stroke, grid: lines, ticks: lines, space: 64, values: (_plot, splits, _axis, _space, step) => splits.map((at, i) => timeWord(at, step, i)) };
  const degrees = { scale: "°C", stroke, grid: lines, ticks: { show: false }, size: 48, values: (_plot, splits) => splits.map((value) => `${value}°`) };
  const moist = { scale: "%", side: 1, stroke, grid: { show: false }, ticks: { show: false }, size: isNarrow ? 40 : 48, show: hasHumidity, values: (_plot, splits) => splits.map((value) => `${value} %`) };
  return [time, degrees, moist];
}

function timeWord(at, step, i) {
  const [date, clock] = local(at).split(" ");
  const day = date.slice(5);
  if (step >= DAY) return day;
  return i === 0 || clock === "00:00:00" ? `${clock.slice(0, 5)}\n${day}` : clock.slice(0, 5);
}

function padded(_plot, low, high) {
  return low === null ? [0, 30] : [Math.floor(low - 0.5), Math.ceil(high + 0.5)];
}

function addTip(plot) {
  plot.tip = document.createElement("div");
  plot.tip.className = "chart-tip";
  plot.tip.hidden = true;
  plot.over.append(plot.tip);
}

function moveTip(plot) {
  const { left, idx } = plot.cursor;
  const lines = left >= 0 && idx != null ? tipLines(plot, idx) : [];
  plot.tip.hidden = lines.length === 0;
  if (lines.length === 0) return;
  const time = document.createElement("b");
  time.textContent = local(plot.data[0][idx]);
  plot.tip.replaceChildren(time, ...lines);
  const room = plot.over.clientWidth - plot.tip.offsetWidth;
  const beside = left < room - 12 ? left + 12 : left - plot.tip.offsetWidth - 12;
  plot.tip.style.transform = `translateX(${Math.round(Math.max(0, Math.min(beside, room)))}px)`;
}

function tipLines(plot, index) {
  return LINES.flatMap(({ name, words, metric }, i) => {
    const value = plot.data[i + 1][index];
    if (!metric || !Number.isFinite(value)) return [];
    const made = document.createElement("span");
    made.className = `key line-${name}`;
    made.textContent = `${words} ${text(metric, value)}`;
    return [made];
  });
}
