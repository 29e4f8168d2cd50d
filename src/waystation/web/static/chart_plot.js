// How a chart is drawn: uPlot's options from the page's colours, axes in the lines' units, and the cursor's tooltip.
//
// A line is {name, metric, unit, shift, look, points: [[at ms, value, least?, greatest?], …]}; `look` counts from 0 and
// says which colour and dashes, the same for what is compared with it.
import { nearest } from "./chart_series.js";
import { local } from "./clock.js";
import { measured } from "./format.js";

export const LOOKS = 8;
const DASHES = [[], [7, 4], [2, 3], [10, 3, 2, 3]]; // lines differ by more than colour
const EARLIER = [3, 3];
const DAY = 86400000;
const NARROW = 600;
const POWERS_OF_TWO = Array.from({ length: 60 }, (_, i) => 2 ** i);
const CLOCK_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 432000,
  864000, 2592000, 8640000, 31536000];
const FROM_ZERO = new Set(["%", "B", "B/s", "s", "lx", "ppm", "rpm"]);

/** Which axes there are, at most `most`: [{unit, lines: [index]}]; what finds no place shares the last one. */
export function axesOf(lines, most) {
  const axes = [];
  lines.forEach((line, i) => {
    const of = line.axis;
    const known = axes.find((axis) => axis.of.includes(of)) ?? (axes.length < most ? null : axes.at(-1));
    if (!known) return axes.push({ of: [of], unit: line.unit, lines: [i] });
    if (!known.of.includes(of)) Object.assign(known, { of: [...known.of, of], unit: "" });
    return known.lines.push(i);
  });
  return axes.length > 0 ? axes : [{ of: [""], unit: "", lines: [] }];
}

/** A new plot inside `place` of what `picture` holds: {lines, columns, wide (columns of a line), height, zone, drags,
 * tip (more lines for the tooltip at a time)}. `span()` tells the shown [from, to] in milliseconds. */
export function draw(place, picture, span) {
  const colours = coloursOf(place);
  const axes = axesOf(picture.lines, place.clientWidth < NARROW ? 2 : 4);
  const axisOf = (i) => axes.findIndex((axis) => axis.lines.includes(i));
  const made = picture.lines.map((line, i) => columnsOf(line, `y${axisOf(i)}`, { ...picture, colours }));
  const ranges = axes.map((axis, a) => [`y${a}`, { range: valueRange(axis.unit) }]);
  const select = (plot) => plot.select.width > 3 && picture.drags?.([plot.select.left, plot.select.left + plot.select.width].map((x) => plot.posToVal(x, "x")));
  const options = {
    width: place.clientWidth,
    height: picture.height,
    ms: 1,
    tzDate: picture.zone ? (at) => globalThis.uPlot.tzDate(new Date(at), picture.zone) : undefined,
    legend: { show: false },
    cursor: {
      y: false, drag: { x: Boolean(picture.drags), y: false, setScale: false, dist: 4 }, points: { size: (plot, i) => (plot.series[i].width ? 7 : 0) },
      dataIdx: nearestIn(span), bind: { mousedown: unlessShift, dblclick: () => null },
    },
    scales: { x: { time: true, range: span }, ...Object.fromEntries(ranges) },
    axes: [timeAxis(colours, picture.zone), ...axes.map((axis, a) => valueAxis(axis, a, { axes, picture, colours }))],
    series: [{}, ...made.flat()],
    bands: picture.wide === 3 ? picture.lines.map((_, i) => ({ series: [3 * i + 3, 3 * i + 2], fill: soft(colours.lines[picture.lines[i].look % LOOKS]) })) : [],
    hooks: { init: [addTip], setCursor: [(plot) => moveTip(plot, picture)], setSelect: [(plot) => select(plot) && unselect(plot)] },
  };
  return new globalThis.uPlot(options, picture.columns, place);
}

// With Shift held the chart is dragged along instead.
function unlessShift(_plot, _target, handler) {
  return (event) => (event.shiftKey ? null : handler(event));
}

function unselect(plot) {
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
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
  const lines = Array.from({ length: LOOKS }, (_, i) => colour(`series-${i + 1}`));
  return { text: colour("axis-colour"), grid: colour("grid-colour"), lines };
}

function soft(colour) {
  return colour.replace(/^rgb\(/, "rgba(").replace(/\)$/, ", 0.16)");
}

/** Dashes of a line that goes up and down all the time are not seen, and take long to draw. */
export function isDense({ points }) {
  return points.length > 300;
}

function columnsOf(whole, scale, { colours, wide, lines }) {
  const { name, look, shift } = whole;
  const dense = isDense(whole);
  const compares = lines.some((line) => line.shift);
  const stroke = shift ? colours.lines[look % LOOKS].replace(/^rgb\(/, "rgba(").replace(/\)$/, ", 0.75)") : colours.lines[look % LOOKS];
  const dash = shift ? EARLIER : compares || dense ? [] : DASHES[(look + Math.floor(look / LOOKS)) % DASHES.length];
  const line = { label: name, scale, stroke, width: dense && lines.length > 4 ? 1 : 1.75, dash, points: { show: isSparse, size: 4, fill: stroke } };
  const edge = { label: name, scale, stroke: "transparent", width: 0, points: { show: false } };
  return wide === 3 ? [line, edge, edge] : [line];
}

// Few points are dots; many are a line, and dots only where a gap leaves one alone.
function isSparse(plot, _series, first, last) {
  return last - first < plot.width / 24;
}

function timeAxis({ text: stroke, grid }, zone) {
  const lines = { stroke: grid, width: 1 };
  return { stroke, grid: lines, ticks: lines, space: 64, values: (_plot, splits, _axis, _space, step) => splits.map((at, i) => timeWord(at, step, { i, zone })) };
}

function timeWord(at, step, { i, zone }) {
  const [date, clock] = local(at, zone).split(" ");
  if (step >= 28 * DAY) return date.slice(0, 7);
  const day = date.slice(5);
  if (step >= DAY) return day;
  const word = step < 60000 ? clock : clock.slice(0, 5);
  return i === 0 || clock === "00:00:00" ? `${word}\n${day}` : word;
}

function valueAxis(axis, a, { axes, picture, colours }) {
  const alone = axes.length === 1;
  const looks = new Set(axis.lines.map((i) => picture.lines[i].look));
  const stroke = !alone && looks.size === 1 ? colours.lines[[...looks][0] % LOOKS] : colours.text;
  const lines = { stroke: colours.grid, width: 1, show: a === 0 };
  const values = (_plot, splits) => splits.map((value) => axisWord(axis.unit, value));
  const named = alone ? {} : { label: axis.of.join(", "), labelSize: 18, labelGap: 2, labelFont: "12px system-ui, sans-serif" };
  return { scale: `y${a}`, side: a % 2 ? 1 : 3, stroke, grid: lines, ticks: { show: false }, size: widest(a + 1), values, ...named, ...steps(axis.unit) };
}

function steps(unit) {
  if (unit === "B" || unit === "B/s") return { incrs: POWERS_OF_TWO };
  return unit === "s" ? { incrs: CLOCK_STEPS } : {};
}

function axisWord(unit, value) {
  const scaled = ["B", "B/s", "s"].includes(unit);
  if (scaled) return value === 0 ? "0" : measured(value, unit).replace(/\.0+(?=\D)/, "").replace(/ 0 [hms]$/, "");
  return String(Number(value.toPrecision(6)));
}

function widest(axis) {
  return (plot, words) => {
    if (!words) return 44;
    plot.ctx.save();
    plot.ctx.font = plot.axes[axis].font[0];
    const width = Math.max(...words.map((word) => plot.ctx.measureText(word).width)) / devicePixelRatio;
    plot.ctx.restore();
    return Math.ceil(width) + 16;
  };
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

/** What stands under the cursor: [time, [[line, value, least?, greatest?], …]] or null. */
export function underCursor(plot, { lines, wide }) {
  const { idx, idxs } = plot.cursor;
  if (idx === null || idx === undefined) return null;
  const values = lines.map((line, i) => [line, ...plot.data.slice(1 + wide * i, 1 + wide * (i + 1)).map((column) => column[idxs[1 + wide * i]] ?? null)]);
  return values.some(([, value]) => value !== null) ? [plot.data[0][idx], values] : null;
}

/** A line's value in words, with the least and the greatest where it stands for many. */
export function valueWords({ unit }, value, least = null, greatest = null) {
  const word = measured(value, unit);
  return least === null || least === greatest ? word : `${word} (${measured(least, unit)} to ${measured(greatest, unit)})`;
}

const MOST_TIP_LINES = 12;

function moveTip(plot, picture) {
  const at = plot.cursor.left >= 0 ? plot.posToVal(plot.cursor.left, "x") : null;
  const found = at === null ? null : underCursor(plot, picture);
  const more = at === null ? [] : picture.tip?.(at) ?? [];
  plot.tip.hidden = !found && more.length === 0;
  if (plot.tip.hidden) return;
  plot.tip.replaceChildren(...tipLines(found ?? [at, []], more, picture.zone));
  const room = plot.over.clientWidth - plot.tip.offsetWidth;
  const left = plot.cursor.left < room - 12 ? plot.cursor.left + 12 : plot.cursor.left - plot.tip.offsetWidth - 12;
  plot.tip.style.transform = `translateX(${Math.round(Math.max(0, Math.min(left, room)))}px)`;
}

function tipLines([at, values], more, zone) {
  const time = document.createElement("b");
  time.textContent = local(at, zone);
  const known = values.filter(([, value]) => value !== null);
  const lines = known.slice(0, MOST_TIP_LINES).map(([line, ...numbers]) => tipLine(`${line.name} ${valueWords(line, ...numbers)}`, `key series-${(line.look % LOOKS) + 1}${line.shift ? " earlier" : ""}`));
  const rest = known.length > MOST_TIP_LINES ? [tipLine(`and ${known.length - MOST_TIP_LINES} more`, "note")] : [];
  return [time, ...lines, ...rest, ...more.map((words) => tipLine(words, ""))];
}

function tipLine(words, className) {
  return Object.assign(document.createElement("span"), { className, textContent: words });
}
