// Texts and booleans under a chart: one strip of coloured stretches per series, under the same times.
import { make } from "./make.js";
import { text } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const LASTING = 3600000; // how long a last state is taken to last
const COLOURS = 6;
const MOST_NAMED = 12;
const WIDTH = 10000; // browsers lose count of drawings that are millions of units wide

/** The stretches [from, to, value] of changes [[at, value], …]; the last one lasts until `until` at most. */
export function stretches(points, until) {
  return points.map(([at, value], i) => [at, i + 1 < points.length ? points[i + 1][0] : Math.max(at, Math.min(until, at + LASTING)), value])
    .reduce((runs, [from, to, value]) => {
      const last = runs.at(-1);
      if (last && last[2] === value && last[1] === from) last[1] = to;
      else runs.push([from, to, value]);
      return runs;
    }, []);
}

/** The value at a time, or undefined. */
export function stateAt(runs, at) {
  return runs.find(([from, to]) => from <= at && at < to)?.[2];
}

/** One strip: {element, runs, place([from, to])}. `series` is {name, metric, points}. */
export function strip(series, until) {
  const runs = stretches(series.points, until);
  const values = [...new Set(runs.map(([, , value]) => value))].sort();
  const drawn = document.createElementNS(SVG, "svg");
  const base = runs[0]?.[0] ?? until;
  const scale = WIDTH / Math.max(1, (runs.at(-1)?.[1] ?? until) - base);
  drawn.setAttribute("preserveAspectRatio", "none");
  drawn.setAttribute("aria-hidden", "true");
  for (const [from, to, value] of runs) drawn.append(stretch((from - base) * scale, (to - from) * scale, classOf(value, values)));
  const named = values.slice(0, MOST_NAMED).map((value) => make("li", { className: classOf(value, values) }, text(series.metric, value)));
  const more = values.length > MOST_NAMED ? [make("li", {}, `and ${values.length - MOST_NAMED} more`)] : [];
  const head = make("div", { className: "strip-head" }, make("span", { className: "strip-name" }, series.name), make("ul", { className: "keys" }, ...named, ...more));
  const element = make("div", { className: "strip" }, head, drawn);
  const place = ([from, to]) => drawn.setAttribute("viewBox", `${(from - base) * scale} 0 ${(to - from) * scale} 1`);
  return { element, drawn, runs, series, place };
}

function stretch(x, width, className) {
  const made = document.createElementNS(SVG, "rect");
  Object.entries({ x, y: 0, width, height: 1, class: className }).forEach(([name, value]) => made.setAttribute(name, value));
  return made;
}

function classOf(value, values) {
  return typeof value === "boolean" ? `state-${value ? "on" : "off"}` : `state-${(values.indexOf(value) % COLOURS) + 1}`;
}
