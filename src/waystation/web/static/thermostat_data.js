// A thermostat's history without a page: buckets from /api/history, gaps, the hysteresis band, states as stretches.

const SECOND = 1000;
const HOUR = 3600 * SECOND;
/** How far back, and how long one bucket is: at most about one for each pixel. */
export const SPANS = {
  "24h": { words: "last 24 hours", lasting: 24 * HOUR, bucket: 30 * SECOND },
  "7d": { words: "last 7 days", lasting: 168 * HOUR, bucket: 600 * SECOND },
  "30d": { words: "last 30 days", lasting: 720 * HOUR, bucket: HOUR },
};
export const NUMBERS = ["temp_inside_c", "temp_outside_c", "setpoint_c", "hysteresis_c", "humidity_percent"];
export const TEXTS = ["mode", "output"];
export const SILENCE = 120 * SECOND; // from here on the firmware, which posts every 15 s, was away
const MOST_CHANGES = 4000;

async function ask(parameters) {
  const answer = await fetch(`/api/history?${new URLSearchParams(parameters)}`);
  if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
  return (await answer.json()).series;
}

function named(device, metrics) {
  return metrics.map((metric) => ["series", `${device}:${metric}`]);
}

/** Means by bucket since `from`: a map of the bucket's start to {metric: mean}. */
export async function buckets(device, from, span) {
  const found = await ask([...named(device, NUMBERS), ["from", Math.round(from)], ["bucket", span.bucket / SECOND], ["aggregate", "mean"]]);
  const rows = new Map();
  for (const { metric, at, mean } of found) {
    at.forEach((moment, i) => {
      if (!rows.has(moment)) rows.set(moment, {});
      rows.get(moment)[metric] = mean[i];
    });
  }
  return rows;
}

/** Each text's changes since `from`: {mode: [[at, value], …], output: …}. */
export async function changes(device, from) {
  const found = await ask([...named(device, TEXTS), ["from", Math.round(from)], ["points", MOST_CHANGES]]);
  const kept = Object.fromEntries(TEXTS.map((metric) => [metric, []]));
  for (const { metric, kind, at, value } of found) {
    if (kind === "text") kept[metric] = at.map((moment, i) => [moment, value[i]]);
  }
  return kept;
}

/** Where nothing came for longer than two minutes, and for more than a bucket: [[from, to], …], the ends included. */
export function gaps(moments, span, [first, last]) {
  const longest = Math.max(SILENCE, span.bucket);
  const found = [];
  let before = first;
  for (const at of [...moments, last]) {
    if (at - before > longest) found.push([before, at]);
    before = Math.max(before, at + span.bucket);
  }
  return found;
}

/** Columns for uPlot: times, inside, outside, set-point, the band's upper and lower end, humidity; null is a gap. */
export function columns(rows, silent) {
  const moments = [...rows.keys()].sort((a, b) => a - b);
  const holes = silent.map(([from, to]) => (from + to) / 2);
  const times = [...moments, ...holes].sort((a, b) => a - b);
  const of = (pick) => times.map((at) => (rows.has(at) ? pick(rows.get(at)) ?? undefined : null));
  const band = (side) => of(({ setpoint_c: middle, hysteresis_c: half }) => (middle == null || half == null ? null : middle + side * half));
  return [times, of((row) => row.temp_inside_c), of((row) => row.temp_outside_c), of((row) => row.setpoint_c), band(1), band(-1),
    of((row) => row.humidity_percent)];
}

/** States as stretches [from, to, value]: each lasts until the next change, and never through a gap. */
export function stretches(changed, silent, last) {
  return changed.flatMap(([from, value], i) => {
    const next = changed[i + 1]?.[0] ?? last;
    const parts = [];
    let begin = from;
    for (const [quiet, heard] of silent) {
      if (heard <= begin || quiet >= next) continue;
      if (quiet > begin) parts.push([begin, quiet, value]);
      begin = heard;
    }
    if (begin < next) parts.push([begin, next, value]);
    return parts;
  });
}

/** Neighbours of one value without a pause between them become one, and what is narrower than `least` is drawn so wide. */
export function joined(parts, least) {
  const kept = [];
  for (const [from, to, value] of parts) {
    const before = kept.at(-1);
    if (before && before[2] === value && from - before[1] <= 1) before[1] = to;
    else kept.push([from, Math.max(to, from + least), value]);
  }
  return kept;
}

/** One sentence that sums the picture up. */
export function summary(rows, silent, span, say) {
  const inside = [...rows.values()].map((row) => row.temp_inside_c).filter(Number.isFinite);
  if (inside.length === 0) return `Nothing was heard in the ${span.words}.`;
  const least = inside.reduce((a, b) => Math.min(a, b));
  const most = inside.reduce((a, b) => Math.max(a, b));
  const pauses = silent.length === 0 ? "no gaps" : silent.length === 1 ? "one gap" : `${silent.length} gaps`;
  return `Inside between ${say("temp_inside_c", least)} and ${say("temp_inside_c", most)} in the ${span.words}, ${pauses}.`;
}
