// Fingers, wheel, mouse and keys on a chart: told as zoom(factor, at) and pan(share), where `at` is a time.
//
//   drag            chooses a part (uPlot itself; see draw)      Shift and drag    moves along
//   two fingers     zoom and move along                          one finger        reads values
//   Ctrl and wheel, or the wheel when the chart has the focus    zoom              sideways wheel    moves along
//   + − ↑ ↓         zoom      Shift and ← →  move along          Escape, 0         back      End with Shift  to now

const KEYS = { "+": ["zoom", 0.5], "=": ["zoom", 0.5], ArrowUp: ["zoom", 0.5], "-": ["zoom", 2], _: ["zoom", 2], ArrowDown: ["zoom", 2] };
const SHIFTED = { ArrowLeft: ["pan", -0.2], ArrowRight: ["pan", 0.2], PageUp: ["pan", -1], PageDown: ["pan", 1], End: ["follow"] };
const CLOSEST_FINGERS = 24;

/** The span in which the times `held` lie under the places `shares` (0 to 1) of the picture. */
export function spanUnder(held, shares) {
  const [a, b] = shares;
  const length = held.length > 1 ? (held[1] - held[0]) / (b - a) : null;
  return length === null ? null : [held[0] - a * length, held[0] - a * length + length];
}

/** `chart` gives over() (the drawn part's element) and span(), and takes zoom, pan, show(span), settle, back and follow. */
export function listen(place, chart, signal) {
  const on = (name, action, options = {}) => place.addEventListener(name, action, { signal, ...options });
  const fingers = new Map();
  let held = null;
  const shareOf = (x) => {
    const box = chart.over().getBoundingClientRect();
    return (x - box.left) / box.width;
  };
  const timeOf = (x) => {
    const [from, to] = chart.span();
    return from + shareOf(x) * (to - from);
  };
  const grip = () => {
    const xs = [...fingers.values()].sort((a, b) => a - b);
    chart.held = xs.length === 2 || Boolean(held?.mouse);
    held = chart.held ? { span: chart.span(), times: xs.map(timeOf), shares: xs.map(shareOf), mouse: held?.mouse } : null;
  };

  on("pointerdown", (event) => {
    const drags = event.pointerType === "mouse" && event.shiftKey && event.button === 0;
    if (!chart.over()?.contains(event.target) || (event.pointerType === "mouse" && !drags)) return;
    fingers.set(event.pointerId, event.clientX);
    held = drags ? { mouse: true } : null;
    if (drags) place.setPointerCapture(event.pointerId);
    grip();
  });
  on("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, event.clientX);
    if (!held) return;
    const xs = [...fingers.values()].sort((a, b) => a - b);
    chart.show(held.mouse ? dragged(held, shareOf(xs[0])) : pinched(held, xs, shareOf));
  });
  const lift = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    const settles = held !== null;
    held = null;
    grip();
    if (settles) chart.settle();
  };
  on("pointerup", lift);
  on("pointercancel", lift);
  on("wheel", (event) => {
    const zooms = event.ctrlKey || event.metaKey || place.contains(document.activeElement);
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    if (!chart.over() || (!zooms && !sideways)) return;
    event.preventDefault();
    const step = (sideways ? event.deltaX || event.deltaY : event.deltaY) * (event.deltaMode === 1 ? 16 : 1);
    if (sideways) chart.pan(step / 1000);
    else chart.zoom(Math.exp(Math.max(-1, Math.min(1, step / 300))), timeOf(event.clientX));
  }, { passive: false });
  on("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [verb, by] = (event.shiftKey && SHIFTED[event.key]) || KEYS[event.key] || (event.key === "0" && ["back"]) || [];
    if (!verb) return;
    event.preventDefault();
    chart[verb](by);
  });
}

function dragged({ span: [from, to], shares }, share) {
  const by = (shares[0] - share) * (to - from);
  return [from + by, to + by];
}

function pinched({ span: [from, to], times, shares }, xs, shareOf) {
  if (xs[1] - xs[0] < CLOSEST_FINGERS) return dragged({ span: [from, to], shares }, shareOf(xs[0]));
  return spanUnder(times, xs.map(shareOf));
}
