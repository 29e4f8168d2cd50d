// The history page: its state stands in the address, so that it can be shared and "back" undoes a zoom.
import { LOOKS } from "./chart_plot.js";
import { MOST_SERIES, moved, parse, queryOf, spanOf } from "./chart_state.js";
import { ChartView, metricOf } from "./chart_view.js";
import { copyText } from "./chart_words.js";
import { local, now, ownZone } from "./clock.js";
import { label } from "./format.js";
import { Picker } from "./history_picker.js";
import { make } from "./make.js";

const page = document.getElementById("history");
const known = new Map(JSON.parse(page.dataset.chosen).map((one) => [one.series, { ...one, device: one.name }]));
const names = new Map();
const field = (name) => document.getElementById(`field-${name}`);
let state = read();

function read() {
  const told = parse(location.search);
  return { ...told, series: told.series.filter((name) => known.has(name)) };
}

function name() {
  const devices = new Set(state.series.map((one) => one.slice(0, one.indexOf(":"))));
  for (const one of state.series) {
    const word = label(metricOf(one));
    names.set(one, devices.size > 1 ? `${known.get(one).device} · ${word}` : word);
  }
}

function keep() {
  const address = `${location.pathname}?${queryOf(state)}`;
  if (address !== location.pathname + location.search) history.pushState(null, "", address);
}

// The chart

for (const part of document.querySelectorAll("[data-scripted]")) part.hidden = false;
name();
const chart = new ChartView(document.getElementById("chart"), state, { names, full: true, keys: document.getElementById("chips"), told: followed });
chart.place.setAttribute("aria-describedby", "hints");
chart.sum.classList.replace("visually-hidden", "note");
chart.root.addEventListener("waystation:drawn", show);

function followed(next, settled) {
  state = next;
  if (!settled) return;
  keep();
  show();
}

function change(next) {
  const others = next.series.join() !== state.series.join();
  state = next;
  name();
  keep();
  if (others) watch();
  chart.set(state);
  show();
}

// Only the devices that are shown are listened to.
function watch() {
  const keys = [...new Set(state.series.map((one) => one.slice(0, one.indexOf(":"))))];
  const url = keys.length ? `/api/live?devices=${keys.join(",")}` : "";
  document.dispatchEvent(new CustomEvent("waystation:watch", { detail: url }));
}

// What surrounds it

function show() {
  showChips();
  for (const button of document.querySelectorAll("#ranges [data-range]")) button.ariaPressed = String(button.dataset.range === state.range);
  document.getElementById("own-range").ariaPressed = String(!state.range);
  document.querySelector("[data-does=follow]").ariaPressed = String(Boolean(state.range));
  for (const each of ["show", "bucket", "compare"]) field(each).value = state[each];
  field("bucket").disabled = state.show === "points";
  if (document.activeElement !== field("tz")) field("tz").value = state.zone || ownZone();
  document.getElementById("history-link").textContent = location.href;
  document.getElementById("history-pin").href = `/pin${location.search}`;
}

function showChips() {
  const chips = document.getElementById("chips");
  const told = state.series.map((one) => `${one} ${names.get(one)} ${chart.looks.get(one)}`).join();
  if (chips.dataset.told !== told) {
    chips.dataset.told = told;
    chips.replaceChildren(...state.series.map(chip));
  }
  chart.showLast();
}

function chip(one) {
  const look = (chart.lookOf(one) % LOOKS) + 1;
  const remove = make("button", { type: "button", ariaLabel: `Remove ${names.get(one)}`, onclick: () => toggle(one) }, "✕");
  return make("li", {}, make("span", { className: `key series-${look}` }, names.get(one)), chart.lastValue(one), remove);
}

function toggle(one, offer = null) {
  if (offer) known.set(one, offer);
  const place = state.series.indexOf(one);
  if (place < 0 && state.series.length >= MOST_SERIES) return;
  change({ ...state, series: place < 0 ? [...state.series, one] : state.series.filter((other) => other !== one) });
  if (place < 0 || offer) return;
  const next = document.querySelectorAll("#chips button");
  (next[Math.min(place, next.length - 1)] ?? document.getElementById("picker")).focus();
}

new Picker(document.getElementById("picker"), document.getElementById("picker-list"), { isChosen: (one) => state.series.includes(one), toggle });

const DEEDS = {
  earlier: () => chart.pan(-0.5),
  later: () => chart.pan(0.5),
  in: () => chart.zoom(0.5),
  out: () => chart.zoom(2),
  follow: () => chart.follow(),
};
page.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-does], #ranges [data-range]");
  if (!button) return;
  if (button.dataset.does) DEEDS[button.dataset.does]();
  else change({ ...state, range: button.dataset.range });
});
for (const each of ["show", "bucket", "compare"]) field(each).addEventListener("change", ({ target }) => change({ ...state, [each]: target.value }));

field("tz").addEventListener("focus", () => {
  const zones = document.getElementById("zones");
  if (!zones.children.length) zones.replaceChildren(...Intl.supportedValuesOf("timeZone").map((zone) => make("option", { value: zone })));
});
field("tz").addEventListener("change", ({ target }) => {
  const asked = target.value.trim();
  const { zone } = parse(new URLSearchParams({ tz: asked }));
  document.getElementById("tz-error").hidden = !asked || zone !== "";
  if (!asked || zone) change({ ...state, zone: zone === ownZone() ? "" : zone });
});

document.getElementById("copy-rows").addEventListener("click", () => {
  document.getElementById("history-rows").textContent = copyText(chart.picture());
});

// From and to, by the reader's clock

const between = document.getElementById("between");
const ends = ["from", "to"].map((end) => document.getElementById(`between-${end}`));
document.getElementById("own-range").addEventListener("click", () => {
  spanOf(state, now()).forEach((at, i) => (ends[i].value = local(at).replace(" ", "T")));
});
document.getElementById("between-form").addEventListener("submit", (event) => {
  const [from, to] = ends.map(({ value }) => Date.parse(value));
  document.getElementById("between-error").hidden = from < to;
  if (from < to) return change(moved(state, [from, to], Math.max(to, now())));
  return event.preventDefault();
});

window.addEventListener("popstate", () => {
  between.close();
  state = read();
  name();
  watch();
  chart.set(state);
  show();
});
show();
