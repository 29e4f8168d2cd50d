// The thermostat's picture: <div class="thermostat" data-device="KEY">: temperatures with the set-point's band, humidity on an
// axis of its own, mode and output as strips beneath. Draws with uPlot, which the page loads.
import { local, now } from "./clock.js";
import { label, text } from "./format.js";
import { buckets, changes, columns, gaps, joined, NUMBERS, SPANS, stretches, summary, TEXTS } from "./thermostat_data.js";
import { draw } from "./thermostat_plot.js";
import { legend, strip } from "./thermostat_strips.js";

const FRESH_MS = 15000;
const TABLE_ROWS = 100;

function make(tag, options = {}, ...children) {
  const { dataset = {}, ...rest } = options;
  const element = Object.assign(document.createElement(tag), rest);
  Object.assign(element.dataset, dataset);
  element.append(...children);
  return element;
}

class Picture {
  constructor(root) {
    this.root = root;
    this.device = root.dataset.device;
    this.span = SPANS[root.dataset.range] ?? SPANS["24h"];
    this.rows = new Map();
    this.changed = {};
    this.asked = 0;
    this.plot = null;
    this.build();
    this.watch();
    this.load();
  }

  build() {
    this.buttons = Object.entries(SPANS).map(([name, span]) =>
      make("button", { type: "button", ariaPressed: String(span === this.span), onclick: () => this.setSpan(span) }, name.replace("h", " h").replace("d", " d")));
    this.keys = make("ul", { className: "keys" });
    this.place = make("div", { className: "plot", tabIndex: 0, role: "application", ariaRoleDescription: "chart" });
    this.word = make("p", { className: "chart-word" });
    this.strips = make("div", { className: "strips" });
    this.said = make("p", { className: "note" });
    this.pointed = make("p", { className: "visually-hidden", ariaLive: "polite" });
    this.cells = make("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Data of the chart" });
    this.table = make("details", { ontoggle: () => this.fillTable() }, make("summary", {}, "Data as a table"), this.cells);
    const ranges = make("div", { className: "ranges", role: "group", ariaLabel: "Time range" }, ...this.buttons);
    this.root.replaceChildren(make("div", { className: "chart-head" }, ranges, this.keys),
      make("div", { className: "plot-area" }, this.place, this.word), this.strips, this.said, this.pointed, this.table);
  }

  watch() {
    this.gone = new AbortController();
    const listen = (target, name, action) => target.addEventListener(name, action, { signal: this.gone.signal });
    listen(document, "waystation:readings", ({ detail }) => detail.device === this.device && this.refreshSoon());
    listen(document, "waystation:live", ({ detail }) => detail.resumed && this.load());
    listen(document, "waystation:theme", () => this.redraw());
    listen(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.redraw());
    listen(this.place, "keydown", (event) => this.step(event));
    this.resize = new ResizeObserver(() => this.plot && this.fit());
    this.resize.observe(this.place);
  }

  get shown() {
    const to = now();
    return [to - this.span.lasting, to];
  }

  setSpan(span) {
    this.span = span;
    this.buttons.forEach((button, i) => (button.ariaPressed = String(Object.values(SPANS)[i] === span)));
    this.rows = new Map();
    this.load();
  }

  /** Everything, or of a picture that stands only what may have changed: its last bucket and those behind it. */
  async load({ onlyNew = false } = {}) {
    const asked = ++this.asked;
    const [from] = this.shown;
    const since = onlyNew && this.rows.size > 0 ? Math.max(...this.rows.keys()) : Math.floor(from / this.span.bucket) * this.span.bucket;
    if (!this.plot) this.say("Loading…");
    try {
      const [rows, changed] = await Promise.all([buckets(this.device, since, this.span), changes(this.device, from)]);
      if (asked !== this.asked) return;
      this.rows = onlyNew ? new Map([...this.rows, ...rows]) : rows;
      for (const at of this.rows.keys()) if (at < from - this.span.bucket) this.rows.delete(at);
      this.changed = changed;
      this.redraw();
    } catch (fault) {
      if (asked === this.asked && !this.plot) this.fail(fault);
    }
  }

  refreshSoon() {
    if (this.waiting) return;
    this.waiting = setTimeout(() => {
      this.waiting = 0;
      if (!this.root.isConnected) this.end();
      else if (!document.hidden) this.load({ onlyNew: true });
    }, FRESH_MS);
  }

  redraw() {
    this.plot?.destroy();
    this.plot = null;
    const silent = gaps([...this.rows.keys()].sort((a, b) => a - b), this.span, this.shown);
    this.silent = silent;
    this.said.textContent = summary(this.rows, silent, this.span, text);
    this.place.ariaLabel = `${this.said.textContent} Arrow keys read the values.`;
    if (this.rows.size === 0) {
      this.strips.replaceChildren();
      this.keys.replaceChildren();
      return this.say(`No readings in the ${this.span.words}.`);
    }
    this.say("");
    this.drawn = columns(this.rows, silent);
    const lines = draw(this.place, this.drawn, () => this.shown);
    this.plot = lines.plot;
    this.keys.replaceChildren(...lines.keys.map(([name, words]) => make("li", {}, make("span", { className: `key ${name}` }, words))));
    queueMicrotask(() => this.drawStrips()); // uPlot measures itself in a microtask of its own
    this.fillTable();
  }

  drawStrips() {
    if (!this.plot) return;
    const [from, to] = this.shown;
    const room = { left: this.plot.over.offsetLeft, width: this.plot.over.clientWidth, from, to };
    const least = (to - from) / Math.max(1, room.width);
    const drawn = TEXTS.map((metric) => [metric, joined(stretches(this.changed[metric] ?? [], this.silent, to), least)]);
    const known = drawn.filter(([, parts]) => parts.length > 0);
    this.strips.replaceChildren(...known.map(([metric, parts]) => strip(label(metric), parts, room)), legend(known.flatMap(([, parts]) => parts.map((part) => part[2]))));
  }

  fit() {
    this.plot.setSize({ width: this.place.clientWidth, height: this.plot.height });
    queueMicrotask(() => this.drawStrips());
  }

  step(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -20, PageDown: 20, Home: -Infinity, End: Infinity };
    if (!this.plot || !(event.key in steps)) return;
    event.preventDefault();
    const most = this.drawn[0].length - 1;
    const start = this.plot.cursor.left >= 0 ? this.plot.cursor.idx : most;
    const at = this.drawn[0][Math.max(0, Math.min(most, start + steps[event.key]))];
    this.plot.setCursor({ left: Math.max(0, this.plot.valToPos(at, "x")), top: 0 });
    const row = this.rows.get(at);
    const states = TEXTS.map((metric) => `${label(metric)} ${this.stateAt(metric, at)}`).join(", ");
    this.pointed.textContent = row ? `${local(at)}: ${this.words(row)}, ${states}` : `${local(at)}: nothing was heard`;
  }

  words(row) {
    return NUMBERS.filter((metric) => row[metric] != null).map((metric) => `${label(metric)} ${text(metric, row[metric])}`).join(", ");
  }

  stateAt(metric, at) {
    return (this.changed[metric] ?? []).findLast(([from]) => from <= at + this.span.bucket)?.[1] ?? "unknown";
  }

  fillTable() {
    if (!this.table.open || !this.plot) return;
    const names = ["Time", ...NUMBERS.map(label), ...TEXTS.map(label)];
    const moments = [...this.rows.keys()].sort((a, b) => b - a).slice(0, TABLE_ROWS);
    const lines = moments.map((at) => {
      const row = this.rows.get(at);
      const cells = [local(at), ...NUMBERS.map((metric) => text(metric, row[metric] ?? null)), ...TEXTS.map((metric) => this.stateAt(metric, at))];
      return make("tr", {}, ...cells.map((cell) => make("td", {}, cell)));
    });
    const heads = make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)));
    this.cells.replaceChildren(make("table", {}, make("thead", {}, heads), make("tbody", {}, ...lines)));
  }

  say(words, ...more) {
    this.word.replaceChildren(words, ...more);
    this.word.hidden = words === "";
  }

  fail(fault) {
    const again = make("button", { type: "button", className: "small", onclick: () => this.load() }, "Try again");
    this.say(`The readings could not be fetched: ${fault.message}. `, again);
  }

  end() {
    this.gone.abort();
    this.resize.disconnect();
    this.plot?.destroy();
  }
}

const pictures = new WeakMap();

function start() {
  for (const root of document.querySelectorAll(".thermostat[data-device]")) {
    if (!pictures.has(root)) pictures.set(root, new Picture(root));
  }
}

start();
document.addEventListener("htmx:load", start);
