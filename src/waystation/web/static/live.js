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

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;
const WORDS = { live: "Live", reconnecting: "Reconnecting…" };
const STATES = { online: "online", offline: "offline", disabled: "disabled", enabled: "offline" };

let stream = null;
let failures = 0;
let retry = 0;
let silence = 0;
let wasLive = false;
let waiting = new Map();
const announced = new Set();

function tell(name, detail) {
  document.dispatchEvent(new CustomEvent(`waystation:${name}`, { detail }));
}

function show(state) {
  const sign = document.getElementById("live");
  if (sign && sign.dataset.is !== state) {
    sign.dataset.is = state;
    sign.textContent = WORDS[state];
  }
}

function connect() {
  clearTimeout(retry);
  stream?.close();
  stream = new EventSource(document.body.dataset.live);
  stream.addEventListener("open", opened);
  stream.addEventListener("error", lost);
  stream.addEventListener("beat", (event) => expectBeat(Number(event.data)));
  stream.addEventListener("readings", (event) => take(JSON.parse(event.data)));
  stream.addEventListener("device", (event) => takeDevice(JSON.parse(event.data)));
}

function watch(url) {
  document.body.dataset.live = url;
  if (url) return connect();
  clearTimeout(silence);
  clearTimeout(retry);
  return stream?.close();
}

function opened() {
  failures = 0;
  show("live");
  tell("live", { state: "live", resumed: wasLive });
  wasLive = true;
}

// The browser's own retry gives up for good at the first answer that is not 200, so the waiting is done here.
function lost() {
  stream.close();
  clearTimeout(silence);
  clearTimeout(retry);
  show("reconnecting");
  tell("live", { state: "reconnecting", resumed: false });
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures++);
  retry = setTimeout(connect, longest / 2 + Math.random() * (longest / 2));
}

function expectBeat(seconds) {
  clearTimeout(silence);
  if (seconds > 0) silence = setTimeout(lost, seconds * 2500);
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

function wake() {
  if (document.body.dataset.live && !document.hidden && stream?.readyState === EventSource.CLOSED) connect();
}

document.addEventListener("waystation:watch", ({ detail }) => watch(detail));
window.addEventListener("online", wake);
document.addEventListener("visibilitychange", wake);
window.addEventListener("pagehide", () => stream?.close()); // a page kept for "back" would hold one of six connections
window.addEventListener("pageshow", (event) => event.persisted && document.body.dataset.live && connect());
if (document.body.dataset.live) connect();
