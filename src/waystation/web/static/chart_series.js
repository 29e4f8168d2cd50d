// The arithmetic of charts, without a page: gaps, appending, lining several series up on one time axis.

const MINUTE = 60000;
export const RANGES = {
  "15m": 15 * MINUTE,
  "1h": 60 * MINUTE,
  "6h": 360 * MINUTE,
  "24h": 1440 * MINUTE,
  "7d": 7 * 1440 * MINUTE,
  "30d": 30 * 1440 * MINUTE,
};
export const RANGE_WORDS = {
  "15m": "last 15 minutes",
  "1h": "last hour",
  "6h": "last 6 hours",
  "24h": "last 24 hours",
  "7d": "last 7 days",
  "30d": "last 30 days",
};
const GAP_SPACINGS = 5;

/** The usual time between two points; infinite when there are too few to tell. */
export function medianSpacing(points) {
  if (points.length < 4) return Infinity;
  const spacings = points.slice(1).map(([at], i) => at - points[i][0]).sort((a, b) => a - b);
  return spacings[Math.floor(spacings.length / 2)];
}

/** The same points with an empty one wherever the device was silent for long, so that no line is drawn there. */
export function withGaps(points) {
  const longest = GAP_SPACINGS * medianSpacing(points);
  return points.flatMap(([at, value], i) => {
    const before = i > 0 ? points[i - 1][0] : at;
    return at - before > longest ? [[(before + at) / 2, null], [at, value]] : [[at, value]];
  });
}

/** Put a point where its time belongs (usually last), once, and let those before `from` go; changes `points`. */
export function add(points, at, value, from) {
  let place = points.length;
  while (place > 0 && points[place - 1][0] > at) place--;
  if (place === 0 || points[place - 1][0] !== at) points.splice(place, 0, [at, value]);
  const kept = points.findIndex(([moment]) => moment >= from);
  if (kept > 1) points.splice(0, kept - 1); // one stays outside, so that the line enters from the edge
}

/** Columns for uPlot: the times, then each series; null is a gap, undefined only "this series has no point then". */
export function align(series) {
  const gapped = series.map(withGaps);
  const times = [...new Set(gapped.flatMap((points) => points.map(([at]) => at)))].sort((a, b) => a - b);
  const columns = gapped.map((points) => {
    const values = new Map(points);
    return widenGaps(times.map((at) => values.get(at)));
  });
  return [times, ...columns];
}

// uPlot begins a gap at the index beside it, so the indices that only other series have must belong to the gap.
function widenGaps(column) {
  column.forEach((value, i) => {
    if (value !== null) return;
    for (let left = i - 1; left >= 0 && column[left] === undefined; left--) column[left] = null;
    for (let right = i + 1; right < column.length && column[right] === undefined; right++) column[right] = null;
  });
  return column;
}

/** The index of the value nearest to `index` in time that a column really has, or null if none is near enough. */
export function nearest(times, column, index, within) {
  const known = (i) => column[i] !== undefined && column[i] !== null;
  for (let step = 0; step < times.length; step++) {
    const near = [index - step, index + step].filter((i) => known(i) && Math.abs(times[i] - times[index]) <= within);
    if (near.length > 0) return near[0];
    if (outside(times, index, step, within)) return null;
  }
  return null;
}

function outside(times, index, step, within) {
  const before = times[index - step] ?? -Infinity;
  const after = times[index + step] ?? Infinity;
  return times[index] - before > within && after - times[index] > within;
}
