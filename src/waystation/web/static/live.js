// One event stream per page: values, ages and states move by themselves, and charts hear of every reading.
//
// The stream's URL stands in <body data-live>. Its events:
//   readings  {"device", "name", "at": ms, "values": {metric: value}}
//   device    {"key", "name", "event": "claimed" | "online" | "offline" | "disabled" | "enabled" | …}
//   beat      seconds until the next beat; a stream that misses two is taken for dead
// What the rest of the page hears, on document: waystation:readings, waystation:device (detail as above) and
// waystation:live (detail {"state": "live" | "reconnecting", "resumed": whether something may have been missed}).
// Whoever shows other devices than before tells waystation:watch (detail: the stream's new URL, or "" for none).
import { setMoment, showState } from "./ages.js";
import { text } from "./format.js";
import { Stream } from "./stream.js";

const STATES = { online: "online", offline: "offline", disabled: "disabled", enabled: "offline" };

let silence = 0;
let wasLive = false;
let waiting = new Map();
const announced = new Set();

function tell(name, detail) {
  document.dispatchEvent(new CustomEvent(`waystation:${name}`, { detail }));
}

const stream = new Stream({
  sign: "live",
  address: () => document.body.dataset.live,
  events: {
    beat: (event) => expectBeat(Number(event.data)),
    readings: (event) => take(JSON.parse(event.data)),
    device: (event) => takeDevice(JSON.parse(event.data)),
  },
  told,
});

function told(state) {
  if (state !== "live") clearTimeout(silence);
  tell("live", { state, resumed: state === "live" && wasLive });
  wasLive ||= state === "live";
}

function watch(url) {
  document.body.dataset.live = url;
  clearTimeout(silence);
  stream.connect();
}

function expectBeat(seconds) {
  clearTimeout(silence);
  if (seconds > 0) silence = setTimeout(() => stream.lost(), seconds * 2500);
}

// Readings are gathered until the next frame: a thousand a second cost no more than sixty.
function take(reading) {
  tell("readings", reading);
  if (waiting.size === 0) requestAnimationFrame(flush);
  const gathered = waiting.get(reading.device) ?? [];
  gathered.push(reading);
  waiting.set(reading.device, gathered);
}

function flush() {
  const gathered = waiting;
  waiting = new Map();
  for (const [device, readings] of gathered) {
    for (const reading of readings) showReading(device, reading);
    showSeen(device, Math.max(...readings.map((reading) => reading.at)));
  }
}

function showReading(device, { at, values }) {
  const key = CSS.escape(device);
  for (const [metric, value] of Object.entries(values)) {
    const name = CSS.escape(metric);
    for (const shown of document.querySelectorAll(`[data-device="${key}"][data-metric="${name}"]`)) {
      showValue(shown, at, text(metric, value));
    }
    for (const time of document.querySelectorAll(`[data-device="${key}"][data-metric-at="${name}"]`)) setMoment(time, at);
    announceNew(device, metric);
  }
}

function showValue(shown, at, words) {
  if (at < Number(shown.dataset.newest ?? 0)) return; // a late reading is not the last one
  shown.dataset.newest = at;
  if (shown.textContent !== words) shown.textContent = words;
}

function showSeen(device, at) {
  for (const time of document.querySelectorAll(`[data-seen="${CSS.escape(device)}"]`)) setMoment(time, at);
  const mark = document.querySelector(`[data-state="${CSS.escape(device)}"]`);
  if (mark && mark.dataset.is !== "disabled") showState(device, "online");
}

// A list of a device's values that lacks this metric asks the server for itself again, once per metric.
function announceNew(device, metric) {
  const list = document.querySelector(`[data-values-of="${CSS.escape(device)}"]`);
  const known = `${device} ${metric}`;
  if (!list || announced.has(known) || list.querySelector(`[data-metric="${CSS.escape(metric)}"]`)) return;
  announced.add(known);
  list.dispatchEvent(new CustomEvent("waystation:new-metric"));
}

function takeDevice(change) {
  if (STATES[change.event]) showState(change.key, STATES[change.event]);
  tell("device", change);
}

document.addEventListener("waystation:watch", ({ detail }) => watch(detail));
window.addEventListener("pagehide", () => clearTimeout(silence));
stream.connect();
