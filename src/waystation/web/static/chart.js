// Charts on any page. Put parts/charts_head.html into the page's scripts block, and where a chart belongs:
//
//   <div class="chart" data-chart data-series="KEY:metric,KEY:metric" data-range="24h">…words without JavaScript…</div>
//
// data-series   up to 100 series, comma-separated: the key of the device, a colon, the metric
// data-range    until now, and along with it: 15m, 1h, 6h, 24h, 7d, 30d, 90d, 365d, or seconds as in 5400s
// data-show     points (usual), band (mean with least and greatest), time_mean, sum, count, rate
// data-bucket   of what is not points: auto (usual), hour, day, week, month      data-compare    1d, 7d, 28d, 364d
// data-zone     an IANA time zone; usually the reader's      data-title    usually the names of what is shown
// data-full     it can be zoomed and moved along      data-history    with a link to the same on the history page
//
// Live readings arrive where the page's event stream tells of these devices: {% block live %}/api/live?devices=KEY,KEY.
// Booleans and texts become strips. <div data-ranges="id"> with buttons data-range sets the range of all charts inside
// the element of that id (live.range_buttons). `document.dispatchEvent(new Event("htmx:load"))` finds new charts, and
// those that are removed from the page end by themselves.
import { names } from "./chart_names.js";
import { RANGES } from "./chart_series.js";
import { lengthOf, parse } from "./chart_state.js";
import { ChartView } from "./chart_view.js";

const KEPT_RANGE = "waystation-range";
const charts = new WeakMap();

function stateOf({ series, range, show, bucket, compare, zone }) {
  const told = Object.entries({ range, show, bucket, compare, tz: zone }).filter(([, value]) => value);
  return parse(new URLSearchParams([...series.split(",").map((name) => ["series", name]), ...told]));
}

function begin(root) {
  charts.set(root, null); // while the names are asked for
  names(stateOf(root.dataset).series).then((known) => {
    if (root.isConnected) charts.set(root, new ChartView(root, stateOf(root.dataset), { names: known, full: "full" in root.dataset }));
  });
}

function start() {
  for (const root of document.querySelectorAll("[data-chart]")) {
    if (charts.has(root)) continue;
    const kept = sessionStorage.getItem(KEPT_RANGE);
    if (kept in RANGES && buttonsFor(root)) root.dataset.range = kept;
    begin(root);
  }
  for (const group of document.querySelectorAll("[data-ranges]")) {
    const shown = document.getElementById(group.dataset.ranges)?.querySelector("[data-chart]")?.dataset.range;
    if (shown) press(group, shown);
  }
}

function buttonsFor(root) {
  return [...document.querySelectorAll("[data-ranges]")].some((group) => document.getElementById(group.dataset.ranges)?.contains(root));
}

function press(group, range) {
  for (const button of group.querySelectorAll("[data-range]")) button.ariaPressed = String(button.dataset.range === range);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-ranges] [data-range]");
  if (!button || !lengthOf(button.dataset.range)) return;
  const { range } = button.dataset;
  const group = button.closest("[data-ranges]");
  sessionStorage.setItem(KEPT_RANGE, range);
  press(group, range);
  for (const root of document.getElementById(group.dataset.ranges).querySelectorAll("[data-chart]")) {
    root.dataset.range = range;
    const chart = charts.get(root);
    chart?.set({ ...chart.state, range });
  }
});
start();
document.addEventListener("htmx:load", start);
