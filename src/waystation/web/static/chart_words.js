// What a chart shows, in sentences and as a table: for who does not see it, and for copying.
import { RANGE_WORDS, RANGES } from "./chart_series.js";
import { COMPARES, lengthOf } from "./chart_state.js";
import { local } from "./clock.js";
import { NOTHING, measured, text } from "./format.js";
import { make } from "./make.js";
import { stateAt } from "./chart_strips.js";

export const MOST_ROWS = 100;
const MOST_TOLD = 6;

/** "last 24 hours", "last 3 h", or "from … to …". */
export function rangeWords(state, [from, to]) {
  if (state.range in RANGE_WORDS) return RANGE_WORDS[state.range];
  if (state.range in RANGES || state.range) return `last ${lasting(lengthOf(state.range) / 1000)}`;
  return `${short(from, state.zone)} to ${short(to, state.zone)}`;
}

function short(at, zone) {
  return local(at, zone).slice(0, 16);
}

const BUCKET_WORDS = { hour: "an hour", day: "a day", week: "a week", month: "a month", year: "a year" };

function lasting(seconds) {
  return measured(seconds, "s").replace(/ 0 [hms]$/, "");
}

/** The length of a bucket that the hub chose, in words: "a day" or "15 min". */
export function bucketWords(bucket) {
  return BUCKET_WORDS[bucket] ?? lasting(Number(bucket));
}

/** One sentence about the picture, and one per line: between which values it lies and what it was last. */
export function summary({ lines, strips, state, span, bucket }) {
  const what = `${lines.length + strips.length} series, ${rangeWords(state, span)}${bucket ? `, one point for ${bucketWords(bucket)}` : ""}.`;
  const told = [...lines.map((line) => lineWords(line, span)), ...strips.map((strip) => stripWords(strip))];
  const rest = told.length > MOST_TOLD ? [`And ${told.length - MOST_TOLD} more: the table has them all.`] : [];
  return [what, ...told.slice(0, MOST_TOLD), ...rest].join(" ");
}

function lineWords({ name, unit, points }, [from, to]) {
  let [least, greatest, last] = [Infinity, -Infinity, null];
  for (const [at, value, low = value, high = value] of points) {
    if (value === null || at < from || at > to) continue;
    [least, greatest, last] = [Math.min(least, low), Math.max(greatest, high), value];
  }
  if (last === null) return `${name}: no readings.`;
  return `${name}: between ${measured(least, unit)} and ${measured(greatest, unit)}, last ${measured(last, unit)}.`;
}

function stripWords({ series, runs }) {
  const last = runs.at(-1);
  return last ? `${series.name}: ${runs.length} ${runs.length === 1 ? "stretch" : "stretches"}, last ${text(series.metric, last[2])}.` : `${series.name}: no readings.`;
}

/** The shown moments, newest first: [at, words per column], from columns as uPlot has them. */
export function rowsOf({ lines, strips, columns: [times, ...columns], wide, span: [from, to] }, words = text) {
  const known = (i) => times[i] >= from && times[i] <= to && columns.some((column) => Number.isFinite(column[i]));
  const shown = lines.length ? times.map((_, i) => i).filter(known).map((i) => [times[i], i]) : changes(strips, from, to);
  return shown.reverse().map(([at, i]) => [
    at,
    ...lines.flatMap(({ metric, unit }, l) => Array.from({ length: wide }, (_, w) => number(columns[l * wide + w][i], { metric, unit }, words))),
    ...strips.map(({ series, runs }) => state(stateAt(runs, at), series)),
  ]);
}

function changes(strips, from, to) {
  const times = new Set(strips.flatMap(({ runs }) => runs.map(([at]) => at)).filter((at) => at >= from && at <= to));
  return [...times].sort((a, b) => a - b).map((at) => [at, -1]);
}

function number(value, { unit }, words) {
  if (words !== text) return value ?? "";
  return Number.isFinite(value) ? measured(value, unit) : NOTHING;
}

function state(value, { metric }) {
  return value === undefined ? NOTHING : text(metric, value);
}

/** The head of every column: Time, and a line's name, thrice where it has a least and a greatest. */
export function headsOf({ lines, strips, wide }) {
  const more = ["", ", least", ", greatest"].slice(0, wide);
  return ["Time", ...lines.flatMap(({ name }) => more.map((word) => name + word)), ...strips.map(({ series }) => series.name)];
}

export function tableOf(picture, most = MOST_ROWS) {
  const rows = rowsOf(picture).slice(0, most).map(([at, ...cells]) => make("tr", {}, ...[local(at, picture.state.zone), ...cells].map((word) => make("td", {}, word))));
  const heads = headsOf(picture).map((word) => make("th", { scope: "col" }, word));
  return make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
}

/** All rows as lines of tab-separated text, as spreadsheets take it; a text that could be a formula gets an apostrophe. */
export function copyText(picture) {
  const lines = rowsOf(picture, String).map(([at, ...cells]) => [local(at, picture.state.zone), ...cells]);
  return [headsOf(picture), ...lines].map((row) => row.map(plain).join("\t")).join("\n");
}

function plain(cell) {
  const word = String(cell).replace(/[\t\r\n]+/g, " ");
  return typeof cell === "string" && /^[=+\-@]/.test(word) && Number.isNaN(Number(word)) ? `'${word}` : word;
}

/** ", a week before" for what is compared with; "" for the series itself. */
export function shiftWords(seconds) {
  if (!seconds) return "";
  const word = Object.keys(COMPARES).find((name) => name && Number.parseInt(name, 10) * 86400 === Math.abs(seconds));
  return `, ${word ? COMPARES[word] : `${lasting(Math.abs(seconds))} before`}`;
}
