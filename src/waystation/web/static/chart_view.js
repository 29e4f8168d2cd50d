// One chart: asks for its data, draws it, moves along, tells it in words. chart.js and history.js put it on pages.
import { ask, nameOf } from "./chart_ask.js";
import * as gestures from "./chart_gestures.js";
import { draw, isDense, LOOKS, underCursor, valueWords } from "./chart_plot.js";
import { add, align } from "./chart_series.js";
import { isLine, moved, MOST_POINTS, panned, queryOf, SHOWS, spanOf, zoomed } from "./chart_state.js";
import { stateAt, strip } from "./chart_strips.js";
import { rangeWords, shiftWords, summary, tableOf } from "./chart_words.js";
import { local, now, ownZone } from "./clock.js";
import { label, text, unit } from "./format.js";
import { make } from "./make.js";

const HEIGHT = 220;
const TALL = 380;
const SHARED_TIMES = 2000; // so many different times are enough for any picture
const MANY_POINTS = 3000;
const SETTLING_MS = 180;
const HELD_MS = 500; // fingers that rest so long want to see more
const LEAST_PAUSE_MS = 10000;
const READ = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10, Home: -Infinity, End: Infinity };

export class ChartView {
  /** `names` tells how a "KEY:metric" is called; `full` charts can be zoomed, and tell `told(state, settled)` then.
   * `keys` is an element of the page's own that holds the last values instead of the chart's head. */
  constructor(root, state, { names = new Map(), full = false, told = () => null, keys = null } = {}) {
    Object.assign(this, { root, state, names, full, told, keys });
    Object.assign(this, { lines: [], strips: [], bucket: null, plot: null, looks: new Map(), queued: false });
    this.build();
    this.watch();
    this.load();
  }

  // The frame

  build() {
    this.place = make("div", { className: this.full ? "plot zooms" : "plot", tabIndex: 0, role: "application", ariaRoleDescription: "chart" });
    this.word = make("p", { className: "chart-word" });
    this.said = make("p", { className: "visually-hidden", ariaLive: "polite" });
    this.sum = make("p", { className: "visually-hidden chart-sum" });
    this.under = make("div", { className: "strips" });
    this.rows = make("div", { className: "scroll", tabIndex: 0, role: "region" });
    this.table = make("details", {}, make("summary", {}, "Data as a table"), this.rows);
    this.head = make("div", { className: "chart-head" });
    const area = make("div", { className: "plot-area" }, this.place, this.word);
    this.root.classList.add("chart");
    this.link = make("a", { className: "chart-more", hidden: !("history" in this.root.dataset) }, "Open in history");
    this.root.replaceChildren(this.head, area, this.under, this.sum, this.said, make("div", { className: "chart-foot" }, this.table, this.link));
    this.name();
  }

  name() {
    this.state.series.forEach((name) => this.lookOf(name));
    this.title = this.state.series.map((name) => this.nameOf(name)).join(", ");
    this.rows.ariaLabel = `Data: ${this.title}`;
    if (this.keys) return;
    const keys = this.state.series.map((name) => make("li", {}, make("span", { className: `key series-${this.lookOf(name) + 1}` }, this.nameOf(name)), " ", this.lastValue(name)));
    this.head.replaceChildren(make("h3", {}, this.root.dataset.title || this.title), make("ul", { className: "keys" }, ...keys));
  }

  nameOf(name) {
    return this.names.get(name) ?? label(metricOf(name));
  }

  /** The same colour and dashes as long as it is shown; what is removed makes room. */
  lookOf(name) {
    for (const known of this.looks.keys()) if (!this.state.series.includes(known)) this.looks.delete(known);
    const taken = new Set(this.looks.values());
    if (!this.looks.has(name)) this.looks.set(name, Array.from({ length: taken.size + 1 }, (_, i) => i).find((i) => !taken.has(i)));
    return this.looks.get(name);
  }

  lastValue(name) {
    return make("span", { className: "value", dataset: { device: name.slice(0, name.indexOf(":")), metric: metricOf(name) } });
  }

  watch() {
    this.gone = new AbortController();
    const { signal } = this.gone;
    const listen = (target, name, action) => target.addEventListener(name, action, { signal });
    listen(document, "waystation:readings", (event) => this.take(event.detail));
    listen(document, "waystation:live", (event) => event.detail.resumed && this.load());
    listen(document, "waystation:theme", () => this.redraw(true));
    listen(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.redraw(true));
    listen(this.place, "keydown", (event) => this.step(event));
    listen(this.place, "blur", () => this.plot?.setCursor({ left: -10, top: -10 }));
    listen(this.table, "toggle", () => this.fillTable());
    if (this.full) gestures.listen(this.place, this, signal);
    this.resize = new ResizeObserver(() => this.fit());
    this.resize.observe(this.place);
    this.slide();
  }

  fit() {
    this.plot?.setSize({ width: this.place.clientWidth, height: this.plot.height });
    this.layStrips();
  }

  end() {
    this.gone.abort();
    this.asking?.abort();
    clearTimeout(this.soon);
    clearTimeout(this.sliding);
    this.resize.disconnect();
    this.plot?.destroy();
  }

  // What is shown

  span() {
    return spanOf(this.state, now());
  }

  over() {
    return this.plot?.over;
  }

  get zone() {
    return this.state.zone || ownZone();
  }

  /** Another state, at once. */
  set(state) {
    const asksAnew = state.series.join() !== this.state.series.join();
    this.state = state;
    if (asksAnew) this.name();
    this.refresh();
    return this.load();
  }

  /** Another span while fingers are still on it: the old picture moves, new data comes when they rest. */
  move(state) {
    this.state = state;
    this.told(state, false);
    this.refresh();
    clearTimeout(this.soon);
    this.soon = setTimeout(() => (this.held ? this.load() : this.settle()), this.held ? HELD_MS : SETTLING_MS);
  }

  settle() {
    clearTimeout(this.soon);
    this.told(this.state, true);
    return this.load();
  }

  zoom(factor, at = null) {
    this.move(zoomed(this.state, factor, now(), at));
  }

  pan(share) {
    this.move(panned(this.state, share, now()));
  }

  show(span) {
    this.move(moved(this.state, span, now()));
  }

  back() {
    history.back();
  }

  /** To now, and along with it. */
  follow() {
    const [from, to] = this.span();
    this.move(zoomed({ ...this.state, range: `${Math.max(1, Math.round((to - from) / 1000))}s` }, 1, now()));
  }

  async load() {
    this.asking?.abort();
    const asking = new AbortController();
    this.asking = asking;
    const span = this.span();
    this.link.href = `/history?${queryOf(this.state)}`;
    this.place.ariaLabel = `${this.title || "Nothing chosen"}, ${rangeWords(this.state, span)}. ${this.full ? "Arrow keys read the values, with Shift they move along; plus and minus zoom." : "Arrow keys read the values."}`;
    if (this.state.series.length === 0) return this.nothing();
    if (!this.plot) this.say("Loading…");
    this.root.ariaBusy = "true";
    try {
      const answer = await ask(this.state, span, this.place.clientWidth, this.zone, asking.signal);
      if (asking === this.asking) this.put(answer);
    } catch (fault) {
      if (asking === this.asking) this.fail(fault);
    }
    if (asking === this.asking) this.root.ariaBusy = "false";
    return null;
  }

  put({ lines, states, bucket }) {
    const widest = Math.max(...Object.values(SHOWS).map((columns) => columns.length));
    const columns = SHOWS[this.state.show].length ? SHOWS[this.state.show] : ["value"];
    this.wide = Math.min(widest, columns.length);
    this.lines = lines.map((one) => this.lineOf(one, columns)).filter(({ look }) => look !== undefined);
    this.bucket = bucket;
    this.strips = states.map((one) => strip(this.lineOf(one, ["value"]), this.span()[1])).filter(({ series }) => series.look !== undefined);
    this.redraw();
  }

  lineOf(one, columns) {
    const { metric, kind, shift } = one;
    const measure = { count: "", rate: `${one.unit ?? unit(metric)}/s` }[this.state.show] ?? one.unit ?? unit(metric);
    const points = one.at.map((at, i) => [at, ...columns.map((name) => one[name]?.[i] ?? null)]);
    const numbers = isLine(kind, this.state.show) ? points.map(([at, ...values]) => [at, ...values.map((value) => (value === null ? null : Number(value)))]) : points;
    const known = { key: one.device, metric, kind, unit: measure, shift, axis: this.state.show === "count" ? "readings" : measure || metric };
    return { ...known, look: this.looks.get(nameOf(one)), name: this.nameOf(nameOf(one)) + shiftWords(shift), points: numbers };
  }

  // Drawing

  columns() {
    const [from, to] = this.span();
    const many = this.lines.reduce((sum, { points }) => sum + points.length, 0) > MANY_POINTS;
    const bucket = Number(this.bucket) * 1000 || { hour: 3.6e6, day: 8.64e7, week: 6.048e8, month: 2.6784e9, year: 3.16e10 }[this.bucket] || 0;
    const grid = many && !this.bucket ? Math.max(1, Math.floor((to - from) / SHARED_TIMES)) : 0;
    if (this.lines.length === 0) return [[from, to]];
    return align(this.lines.map(({ points }) => points), { wide: this.wide, bucket, grid });
  }

  picture() {
    const columns = this.plot && !this.fresh ? this.plot.data : this.columns();
    const [from, to] = this.span();
    const span = [from, this.state.range ? Infinity : to]; // a device's clock may be a little ahead
    return { lines: this.lines, strips: this.strips, columns, wide: this.wide ?? 1, state: this.state, span, bucket: this.bucket };
  }

  /** New data or a new moment into the plot that stands, at most once a frame. */
  refresh(fresh = false) {
    this.fresh ||= fresh;
    if (this.queued || document.hidden) return;
    this.queued = true;
    requestAnimationFrame(() => {
      this.queued = false;
      if (!this.plot) return this.fresh && this.redraw();
      const [min, max] = this.span();
      if (this.fresh) this.plot.setData(this.columns());
      else this.plot.setScale("x", { min, max });
      this.fresh = false;
      return this.layStrips();
    });
  }

  /** For new data; `anew` also where the colours are others. */
  redraw(anew = false) {
    this.fresh = false;
    this.showLast();
    const old = this.plot;
    this.plot = null;
    if (this.isEmpty()) {
      old?.destroy();
      this.under.replaceChildren();
      return this.nothing();
    }
    this.say("");
    const tip = (at) => this.strips.map(({ series, runs }) => [series, stateAt(runs, at)]).filter(([, value]) => value !== undefined).map(([series, value]) => `${series.name} ${text(series.metric, value)}`);
    const drags = this.full ? (span) => this.show(span) || this.settle() : null;
    const drawn = { lines: this.lines, wide: this.wide, columns: this.columns(), zone: this.state.zone, height: this.height(), tip, drags };
    this.paint(drawn, old, anew);
    this.under.replaceChildren(...this.strips.map(({ element }) => element));
    this.layStrips();
    this.sum.textContent = summary(this.picture());
    this.root.dispatchEvent(new CustomEvent("waystation:drawn"));
    return this.fillTable();
  }

  /** A plot that looks the same takes the new data, another one takes its place. */
  paint(drawn, old, anew) {
    const { lines, wide, zone, height } = drawn;
    const form = JSON.stringify([lines.map((line) => [line.key, line.metric, line.kind, line.shift, line.look, line.axis, line.unit, isDense(line)]), wide, zone, height]);
    if (old && !anew && form === this.form) {
      this.plot = old;
      Object.assign(this.drawn, drawn);
      return old.setData(drawn.columns);
    }
    this.form = form;
    this.drawn = drawn;
    this.plot = draw(this.place, drawn, () => this.span());
    return old?.destroy();
  }

  height() {
    if (this.lines.length === 0) return 60;
    return this.full ? Math.min(TALL, Math.max(HEIGHT + 60, Math.round(window.innerHeight * 0.5))) : HEIGHT;
  }

  layStrips() {
    if (!this.plot) return;
    const span = this.span();
    for (const { drawn, place } of this.strips) {
      drawn.style.marginLeft = `${this.plot.bbox.left / devicePixelRatio}px`;
      drawn.style.width = `${this.plot.bbox.width / devicePixelRatio}px`;
      place(span);
    }
  }

  isEmpty() {
    const [from] = this.span();
    const recent = (points) => points.length > 0 && (this.full || points.at(-1)[0] >= from);
    return !this.lines.some(({ points }) => recent(points)) && !this.strips.some(({ series }) => recent(series.points));
  }

  showLast() {
    (this.keys ?? this.head).querySelectorAll(".value").forEach((shown) => {
      const name = `${shown.dataset.device}:${shown.dataset.metric}`;
      const line = [...this.lines, ...this.strips.map(({ series }) => series)].find((one) => nameOf({ device: one.key, metric: one.metric }) === name && !one.shift);
      const last = line?.points.at(-1);
      if (!last || last[0] < Number(shown.dataset.newest ?? 0)) return;
      shown.dataset.newest = last[0];
      shown.textContent = line.kind === "number" ? valueWords(line, last[1]) : text(line.metric, last[1]);
    });
  }

  nothing() {
    const none = this.state.range ? `No readings in the ${rangeWords(this.state, this.span())}.` : `No readings from ${rangeWords(this.state, this.span())}.`;
    const words = this.state.series.length === 0 ? "Nothing is chosen yet." : none;
    this.plot?.destroy();
    this.plot = null;
    this.sum.textContent = words;
    this.root.ariaBusy = "false";
    this.say(words);
    this.root.dispatchEvent(new CustomEvent("waystation:drawn"));
  }

  say(words, ...more) {
    this.word.replaceChildren(words, ...more);
    this.word.hidden = words === "";
  }

  fail(fault) {
    this.plot?.destroy();
    this.plot = null;
    const again = make("button", { type: "button", className: "small", onclick: () => this.load() }, "Try again");
    this.say(`The readings could not be fetched: ${fault.message}. `.replace("..", "."), again);
  }

  // As time goes on

  take({ device, at, values }) {
    if (!this.state.range || this.state.show !== "points") return;
    const from = this.span()[0];
    let taken = false;
    for (const line of this.lines) {
      const value = Number(values[line.metric]);
      if (line.key !== device || line.shift || !(line.metric in values) || !Number.isFinite(value)) continue;
      add(line.points, at, value, from);
      taken = true;
    }
    this.showLast();
    if (this.state.series.some((name) => name.startsWith(`${device}:`) && metricOf(name) in values && this.isNews(name, values[metricOf(name)]))) this.soonAgain();
    if (this.lines.some(({ points }) => points.length > 3 * MOST_POINTS)) this.load(); // let the hub thin them out again
    if (taken) this.refresh(true);
  }

  /** Whether the value is another state than before, or the first one of its series. */
  isNews(name, value) {
    const shown = [...this.lines, ...this.strips.map(({ series }) => series)].find((one) => `${one.key}:${one.metric}` === name);
    return !shown || (shown.kind !== "number" && shown.points.at(-1)?.[1] !== value);
  }

  soonAgain() {
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.load(), 1000);
  }

  slide() {
    const [from, to] = this.span();
    const period = Math.max(1000, (to - from) / 1000);
    this.sliding = setTimeout(() => {
      if (!this.root.isConnected) return this.end();
      if (this.state.range && this.plot) this.follows();
      return this.slide();
    }, period);
  }

  // Buckets and comparisons are asked for again from time to time; points come by themselves.
  follows() {
    const [from, to] = this.span();
    const asks = this.state.show !== "points" || this.state.compare;
    if (asks && !document.hidden && now() - (this.askedAt ?? 0) > Math.max(LEAST_PAUSE_MS, (to - from) / 200)) {
      this.askedAt = now();
      this.load();
    }
    this.refresh();
  }

  // Reading

  step(event) {
    if (!this.plot || event.shiftKey || !(event.key in READ) || this.lines.length === 0) return;
    event.preventDefault();
    const times = this.plot.data[0];
    const [from, to] = this.span();
    const shown = [times.findIndex((at) => at >= from), times.findLastIndex((at) => at <= to)];
    const start = this.plot.cursor.left >= 0 ? this.plot.cursor.idx : shown[1];
    const index = Math.max(Math.max(0, shown[0]), Math.min(shown[1], start + READ[event.key]));
    const left = Math.max(0, this.plot.valToPos(times[index], "x"));
    this.plot.setCursor({ left, top: 0 });
    this.read();
  }

  read() {
    const found = underCursor(this.plot, this.drawn);
    if (!found) return;
    const values = found[1].filter(([, value]) => value !== null).map(([line, ...numbers]) => `${line.name} ${valueWords(line, ...numbers)}`);
    this.said.textContent = `${local(found[0], this.state.zone)}: ${values.join(", ")}`;
  }

  fillTable() {
    if (!this.table.open) return;
    this.rows.replaceChildren(tableOf(this.picture()));
  }
}

export function metricOf(name) {
  return name.slice(name.indexOf(":") + 1);
}

export { LOOKS };
