// The arithmetic of charts, without a page: gaps, appending, lining several series up on one time axis.

const MINUTE = 60000;
export const RANGES = {
  "15m": 15 * MINUTE,
  "1h": 60 * MINUTE,
  "6h": 360 * MINUTE,
  "24h": 1440 * MINUTE,
  "7d": 7 * 1440 * MINUTE,
  "30d": 30 * 1440 * MINUTE,
  "90d": 90 * 1440 * MINUTE,
  "365d": 365 * 1440 * MINUTE,
};
export const RANGE_WORDS = {
  "15m": "last 15 minutes",
  "1h": "last hour",
  "6h": "last 6 hours",
  "24h": "last 24 hours",
  "7d": "last 7 days",
  "30d": "last 30 days",
  "90d": "last 90 days",
  "365d": "last year",
};
const GAP_SPACINGS = 5;

/** The usual time between two points; infinite when there are too few to tell. */
export function medianSpacing(points) {
  if (points.length < 4) return Infinity;
  const spacings = points.slice(1).map(([at], i) => at - points[i][0]).sort((a, b) => a - b);
  return spacings[Math.floor(spacings.length / 2)];
}

/** The same points with an empty one wherever the device was silent for long, so that no line is drawn there.
 *
 * Where points stand for buckets of `bucket` milliseconds, one that is missing is a gap already.
 */
export function withGaps(points, bucket = 0) {
  const usual = medianSpacing(points);
  const longest = (usual <= 1.02 * bucket ? 1.5 : GAP_SPACINGS) * usual;
  return points.flatMap((point, i) => {
    const before = i > 0 ? points[i - 1][0] : point[0];
    return point[0] - before > longest ? [[(before + point[0]) / 2, ...point.slice(1).fill(null)], point] : [point];
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

/** Columns for uPlot: the times, then each series' `wide` columns; null is a gap, undefined only "no point then".
 *
 * With `grid` times are rounded to so many milliseconds, so that many series share few times: less than a pixel.
 */
export function align(series, { wide = 1, bucket = 0, grid = 0 } = {}) {
  const gapped = series.map((points) => withGaps(points, bucket)).map((points) => (grid ? snapped(points, grid) : points));
  const times = [...new Set(gapped.flatMap((points) => points.map(([at]) => at)))].sort((a, b) => a - b);
  const columns = gapped.flatMap((points) => {
    const byTime = new Map(points.map((point) => [point[0], point]));
    const found = times.map((at) => byTime.get(at));
    return Array.from({ length: wide }, (_, i) => widenGaps(found.map((point) => (point ? point[i + 1] : undefined))));
  });
  return [times, ...columns];
}

// Two points of a series never fall together: the later one goes on to the next place.
function snapped(points, grid) {
  let last = -Infinity;
  return points.map(([at, ...values]) => {
    last = Math.max(last + 1, Math.round(at / grid));
    return [last * grid, ...values];
  });
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
  let [left, right] = [index, index + 1];
  while (left >= 0 && !known(left) && times[index] - times[left] <= within) left--;
  while (right < times.length && !known(right) && times[right] - times[index] <= within) right++;
  const away = (i) => (times[i] !== undefined && known(i) ? Math.abs(times[i] - times[index]) : Infinity);
  const near = away(left) <= away(right) ? left : right;
  return away(near) <= within ? near : null;
}
