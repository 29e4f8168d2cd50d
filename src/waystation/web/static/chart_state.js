// What a chart shows, as plain values: its series, range, aggregate, buckets, time zone, comparison; to and from a URL.
//
//   {series: ["KEY:metric", …], range: "24h" (until now, following it) or "", from, to (ms, without a range),
//    show: one of SHOWS, bucket: one of BUCKETS, zone: IANA name or "" for the reader's, compare: one of COMPARES}
import { RANGES } from "./chart_series.js";

const SECOND = 1000;
const HOUR = 3600 * SECOND;
const DAY = 24 * HOUR;
export const SHORTEST = 10 * SECOND;
export const LONGEST = 20 * 365 * DAY;
export const MOST_POINTS = 1000;
export const MOST_SERIES = 100;

export const SHOWS = { points: [], band: ["mean", "min", "max"], time_mean: ["time_mean"], sum: ["sum"], count: ["count"], rate: ["rate"] };
export const BUCKETS = { auto: 0, hour: HOUR, day: DAY, week: 7 * DAY, month: 28 * DAY };
export const COMPARES = { "": "", "1d": "a day before", "7d": "a week before", "28d": "4 weeks before", "364d": "52 weeks before" };
const USUAL = { series: [], range: "24h", from: 0, to: 0, show: "points", bucket: "auto", zone: "", compare: "" };

/** Milliseconds of `24h` or `5400s`; 0 for what is no range. */
export function lengthOf(range) {
  if (Object.hasOwn(RANGES, range)) return RANGES[range];
  const seconds = /^(\d{1,9})s$/.exec(range);
  return seconds ? within(Number(seconds[1]) * SECOND) : 0;
}

function within(length) {
  return Math.min(LONGEST, Math.max(SHORTEST, length));
}

/** The state that a query string tells; what is wrong in it is as usual. */
export function parse(query) {
  const given = new URLSearchParams(query);
  const one = (name, known) => (Object.hasOwn(known, given.get(name) ?? "-") ? given.get(name) : USUAL[name]);
  const series = [...new Set(given.getAll("series").filter((name) => /^[^:]+:./.test(name)))].slice(0, MOST_SERIES);
  const state = { ...USUAL, series, show: one("show", SHOWS), bucket: one("bucket", BUCKETS), compare: one("compare", COMPARES), zone: zoneOf(given.get("tz")) };
  const [from, to] = [moment(given.get("from")), moment(given.get("to"))];
  if (from < to) return { ...state, range: "", from, to: from + within(to - from) };
  const range = given.get("range") ?? "";
  return lengthOf(range) ? { ...state, range } : state;
}

function zoneOf(name) {
  try {
    return name && new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone ? name : "";
  } catch {
    return "";
  }
}

function moment(text) {
  return text && /^-?\d{1,15}$/.test(text) ? Number(text) : Date.parse(text ?? "");
}

/** The query string of a state, short: what is as usual is left out. */
export function queryOf(state) {
  const told = new URLSearchParams(state.series.map((name) => ["series", name]));
  if (state.range) told.set("range", state.range);
  else for (const end of ["from", "to"]) told.set(end, new Date(Math.round(state[end])).toISOString());
  for (const name of ["show", "bucket", "compare"]) if (state[name] !== USUAL[name]) told.set(name, state[name]);
  if (state.zone) told.set("tz", state.zone);
  return told.toString().replaceAll("%3A", ":");
}

/** The shown [from, to]. */
export function spanOf(state, now) {
  return state.range ? [now - lengthOf(state.range), now] : [state.from, state.to];
}

/** The state with another span; nothing lies behind now. */
export function moved(state, [from, to], now) {
  const length = within(to - from);
  const start = Math.min((from + to) / 2 - length / 2, now - length);
  return { ...state, range: "", from: Math.round(start), to: Math.round(start + length) };
}

/** `factor` 0.5 shows half as much, `at` stays where it is. A chart that follows now goes on doing so, without `at`. */
export function zoomed(state, factor, now, at = null) {
  if (state.range && at === null) return { ...state, range: rangeOf(within(lengthOf(state.range) * factor)) };
  const [from, to] = spanOf(state, now);
  const centre = at ?? (from + to) / 2;
  const scale = within((to - from) * factor) / (to - from);
  return moved(state, [centre - (centre - from) * scale, centre + (to - centre) * scale], now);
}

function rangeOf(length) {
  return Object.keys(RANGES).find((name) => RANGES[name] === length) ?? `${Math.round(length / SECOND)}s`;
}

/** Moved by a share of what is shown; negative is back in time. */
export function panned(state, share, now) {
  const [from, to] = spanOf(state, now);
  const by = (to - from) * share;
  return moved(state, [from + by, to + by], now);
}

/** The buckets to ask for: those that are wished, or longer ones where these would be too many. */
export function bucketFor(wished, length) {
  if (wished === "auto") return "auto";
  const fits = Object.keys(BUCKETS).slice(Object.keys(BUCKETS).indexOf(wished));
  return fits.find((name) => length / BUCKETS[name] <= MOST_POINTS) ?? "year";
}

/** What to ask /api/history for these series, in a picture of so many pixels. */
export function question(state, series, [from, to], pixels, zone) {
  const asked = new URLSearchParams(series.map((name) => ["series", name]));
  const told = { from: new Date(from).toISOString(), to: new Date(to).toISOString(), tz: zone };
  if (state.compare) told.compare = state.compare;
  const buckets = { bucket: bucketFor(state.bucket, to - from), aggregate: SHOWS[state.show].join(","), points: sized(pixels / 3, 60) };
  Object.entries({ ...told, ...(state.show === "points" ? { points: sized(pixels, 200) } : buckets) }).forEach(([name, value]) => asked.set(name, value));
  return asked;
}

function sized(pixels, least) {
  return Math.round(Math.max(least, Math.min(MOST_POINTS, pixels || MOST_POINTS)));
}

/** Whether a series of that kind is a line then; else it is a strip of states. */
export function isLine(kind, show) {
  return kind === "number" || show === "count" || (kind === "boolean" && ["sum", "rate", "time_mean"].includes(show));
}
