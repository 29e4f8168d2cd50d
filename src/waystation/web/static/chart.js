// Live charts: <div class="chart" data-device data-metrics="a,b" data-range="1h">, and the buttons that set the range.
import { add, align, RANGE_WORDS, RANGES } from "./chart_series.js";
import { draw, underCursor } from "./chart_plot.js";
import { local, now } from "./clock.js";
import { label, text } from "./format.js";

const TABLE_ROWS = 100;
const MOST_POINTS = 1000;
const KEPT_RANGE = "waystation-range";

function make(tag, options = {}, ...children) {
  const { dataset = {}, ...rest } = options;
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, dataset);
  element.append(...children);
  return element;
}

class Chart {
  constructor(root) {
    this.root = root;
    this.device = root.dataset.device;
    this.metrics = root.dataset.metrics.split(",");
    this.series = this.metrics.map(() => []);
    this.plot = null;
    this.asked = 0;
    this.queued = false;
    this.build();
    this.watch();
    this.load();
  }

  build() {
    const title = this.metrics.map(label).join(", ");
    const keys = this.metrics.map((metric, i) =>
      make("li", {}, make("span", { className: `key series-${i + 1}` }, label(metric)), " ", this.lastValue(metric)));
    this.place = make("div", { className: "plot", tabIndex: 0, role: "application", ariaRoleDescription: "chart" });
    this.word = make("p", { className: "chart-word" });
    this.said = make("p", { className: "visually-hidden", ariaLive: "polite" });
    this.rows = make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: `Data: ${title}` });
    this.table = make("details", {}, make("summary", {}, "Data as a table"), this.rows);
    const head = make("div", { className: "chart-head" }, make("h3", {}, title), make("ul", { className: "keys" }, ...keys));
    this.root.replaceChildren(head, make("div", { className: "plot-area" }, this.place, this.word), this.said, this.table);
    this.name = title;
  }

  lastValue(metric) {
    return make("span", { className: "value", dataset: { device: this.device, metric } });
  }

  watch() {
    this.gone = new AbortController();
    const listen = (target, name, action) => target.addEventListener(name, action, { signal: this.gone.signal });
    listen(document, "waystation:readings", (event) => this.take(event.detail));
    listen(document, "waystation:live", (event) => event.detail.resumed && this.load());
    listen(document, "waystation:theme", () => this.redraw());
    listen(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.redraw());
    listen(this.place, "keydown", (event) => this.step(event));
    listen(this.place, "blur", () => this.plot?.setCursor({ left: -10, top: -10 }));
    listen(this.table, "toggle", () => this.fillTable());
    this.resize = new ResizeObserver(() => this.plot?.setSize({ width: this.place.clientWidth, height: this.plot.height }));
    this.resize.observe(this.place);
    this.slide();
  }

  get range() {
    return RANGES[this.root.dataset.range];
  }

  span() {
    const to = now();
    return [to - this.range, to];
  }

  async load() {
    const asked = ++this.asked;
    if (!this.plot) this.say("Loading…");
    this.place.ariaLabel = `${this.name}, ${RANGE_WORDS[this.root.dataset.range]}. Arrow keys read the values.`;
    try {
      const series = await Promise.all(this.metrics.map((metric) => this.fetch(metric)));
      if (asked !== this.asked) return; // the range was changed meanwhile
      this.series = series;
      this.redraw();
    } catch (fault) {
      if (asked === this.asked) this.fail(fault);
    }
  }

  async fetch(metric) {
    const points = Math.max(200, Math.min(MOST_POINTS, this.place.clientWidth || MOST_POINTS));
    const from = new Date(this.span()[0]).toISOString();
    const answer = await fetch(`/api/readings?${new URLSearchParams({ device: this.device, metric, from, points })}`);
    if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
    const { series } = await answer.json();
    return (series[0]?.points ?? []).map(([at, value]) => [at, Number(value)]);
  }

  take({ device, at, values }) {
    if (device !== this.device) return;
    const from = this.span()[0];
    this.metrics.forEach((metric, i) => {
      const value = Number(values[metric]); // a boolean draws as 0 or 1, a missing or worded one not at all
      if (Number.isFinite(value)) add(this.series[i], at, value, from);
    });
    if (this.series.some((points) => points.length > 3 * MOST_POINTS)) this.load(); // let the hub thin them out again
    this.refresh();
  }

  /** New data or a new moment into the plot that stands, at most once a frame. */
  refresh() {
    if (this.queued || document.hidden) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      if (!this.plot || this.isEmpty()) return this.redraw();
      this.plot.setData(align(this.series));
    });
  }

  /** A new plot: for a new range, the first data, or other colours. */
  redraw() {
    this.plot?.destroy();
    this.plot = null;
    this.showLast();
    if (this.isEmpty()) return this.say(`No readings in the ${RANGE_WORDS[this.root.dataset.range]}.`);
    this.say("");
    this.plot = draw(this.place, this.metrics, align(this.series), () => this.span());
    this.fillTable();
  }

  isEmpty() {
    const from = this.span()[0];
    return !this.series.some((points) => points.length > 0 && points.at(-1)[0] >= from);
  }

  showLast() {
    this.root.querySelectorAll(".keys .value").forEach((shown, i) => {
      const last = this.series[i].at(-1);
      if (!last || last[0] < Number(shown.dataset.newest ?? 0)) return;
      shown.dataset.newest = last[0];
      shown.textContent = text(this.metrics[i], last[1]);
    });
  }

  say(words, ...more) {
    this.word.replaceChildren(words, ...more);
    this.word.hidden = words === "";
  }

  fail(fault) {
    this.plot?.destroy();
    this.plot = null;
    const again = make("button", { type: "button", className: "small", onclick: () => this.load() }, "Try again");
    this.say(`The readings could not be fetched: ${fault.message}. `, again);
  }

  slide() {
    const period = Math.max(1000, this.range / 1000);
    this.sliding = setTimeout(() => {
      if (!this.root.isConnected) return this.end();
      if (this.plot) this.refresh();
      this.slide();
    }, period);
  }

  end() {
    this.gone.abort();
    this.resize.disconnect();
    this.plot?.destroy();
  }

  step(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };
    if (!this.plot || !(event.key in steps)) return;
    event.preventDefault();
    const shown = this.plot.data[0].length - 1;
    const start = this.plot.cursor.left >= 0 ? this.plot.cursor.idx : shown;
    const index = Math.max(0, Math.min(shown, start + steps[event.key]));
    const left = Math.max(0, this.plot.valToPos(this.plot.data[0][index], "x"));
    this.plot.setCursor({ left, top: 0 });
    this.read();
  }

  read() {
    const found = underCursor(this.plot, this.metrics);
    if (!found) return;
    const values = found[1].map(([metric, value]) => `${label(metric)} ${text(metric, value)}`);
    this.said.textContent = `${local(found[0])}: ${values.join(", ")}`;
  }

  fillTable() {
    if (!this.table.open) return;
    const [times, ...columns] = align(this.series);
    const newest = times.map((_, i) => i).filter((i) => columns.some((column) => Number.isFinite(column[i])));
    const rows = newest.slice(-TABLE_ROWS).reverse().map((i) =>
      make("tr", {}, make("td", {}, local(times[i])), ...columns.map((column, m) => make("td", {}, text(this.metrics[m], column[i] ?? null)))));
    const heads = ["Time", ...this.metrics.map(label)].map((word) => make("th", { scope: "col" }, word));
    this.rows.replaceChildren(make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows)));
  }

  setRange(range) {
    this.root.dataset.range = range;
    this.plot?.destroy();
    this.plot = null;
    this.load();
  }
}

const charts = new WeakMap();

function start() {
  for (const root of document.querySelectorAll(".chart")) {
    if (charts.has(root)) continue;
    const kept = sessionStorage.getItem(KEPT_RANGE);
    if (kept in RANGES) root.dataset.range = kept;
    charts.set(root, new Chart(root));
  }
  const shown = document.querySelector(".chart")?.dataset.range;
  if (shown) press(shown);
}

function press(range) {
  for (const button of document.querySelectorAll("[data-ranges] [data-range]")) {
    button.ariaPressed = String(button.dataset.range === range);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-ranges] [data-range]");
  if (!button) return;
  const { range } = button.dataset;
  sessionStorage.setItem(KEPT_RANGE, range);
  press(range);
  const within = document.getElementById(button.closest("[data-ranges]").dataset.ranges);
  for (const root of within.querySelectorAll(".chart")) charts.get(root)?.setRange(range);
});
start();
document.addEventListener("htmx:load", start);
