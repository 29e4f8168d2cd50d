// Asks the hub for what a chart shows: lines in points or buckets, and states, which are always points.
import { isLine, question } from "./chart_state.js";

const strips = new Set(); // "KEY:metric" of those that the hub has told to be texts or booleans

/** {lines, states, bucket} with columns as /api/history answers. An AbortSignal ends it. */
export async function ask(state, span, pixels, zone, signal) {
  const parts = async (series, how = state) => (series.length ? whole(question(how, series, span, pixels, zone), signal) : NONE);
  const asStates = { ...state, show: "points" };
  if (state.show === "points") return sorted(await parts(state.series), state, []);
  const likely = state.series.filter((name) => strips.has(name) && !["count", "sum", "rate", "time_mean"].includes(state.show));
  const [lines, states] = await Promise.all([parts(state.series.filter((name) => !likely.includes(name))), parts(likely, asStates)]);
  const found = new Set(lines.series.filter(({ kind }) => !isLine(kind, state.show)).map(nameOf));
  for (const name of found) strips.add(name);
  const more = await parts([...found], asStates);
  return sorted(lines, state, [...states.series, ...more.series]);
}

const NONE = { series: [], bucket: null };

function sorted({ series, bucket }, { show }, states) {
  const lines = series.filter(({ kind }) => isLine(kind, show));
  const others = show === "points" ? series.filter(({ kind }) => !isLine(kind, show)) : states;
  return { lines, states: others.filter(({ kind }) => kind !== "number"), bucket };
}

export function nameOf({ device, metric }) {
  return `${device}:${metric}`;
}

async function whole(asked, signal) {
  const series = new Map();
  let answer = { next: "" };
  while (answer.next !== null) {
    if (answer.next) asked.set("cursor", answer.next);
    answer = await got(asked, signal);
    for (const one of answer.series) join(series, one);
  }
  return { series: [...series.values()], bucket: answer.bucket };
}

function join(series, one) {
  const id = `${nameOf(one)} ${one.kind} ${one.shift}`;
  const known = series.get(id);
  if (!known) return series.set(id, one);
  for (const [name, column] of Object.entries(one)) if (Array.isArray(column)) known[name].push(...column);
  return series;
}

async function got(asked, signal) {
  const answer = await fetch(`${document.body.dataset.reads || "/api"}/history?${asked}`, { signal });
  if (answer.ok) return answer.json();
  const told = await answer.json().catch(() => ({}));
  throw new Error(answer.status < 500 && told.detail ? told.detail : `the hub answered ${answer.status}`);
}
