// Keeps "12 s ago" ticking, turns exact times into the reader's time zone, and lets a silent device go offline.
import { local, now } from "./clock.js";
import { age } from "./format.js";

const STATE_WORDS = { online: "Online", offline: "Offline", disabled: "Disabled", never: "Never seen" };

/** Show the state of a device, in word and mark, wherever it stands. */
export function showState(key, state) {
  for (const mark of document.querySelectorAll(`[data-state="${CSS.escape(key)}"]`)) {
    if (mark.dataset.is === state) continue;
    mark.dataset.is = state;
    mark.textContent = STATE_WORDS[state];
  }
}

/** Set the moment that an age counts from; it never goes back. */
export function setMoment(time, at) {
  if (at < Number(time.dataset.at ?? 0)) return;
  time.dataset.at = at;
  time.dateTime = new Date(at).toISOString();
  time.title = local(at);
  showAge(time);
}

function showAge(time) {
  const text = age((now() - Number(time.dataset.at)) / 1000);
  if (time.textContent !== text) time.textContent = text;
}

function tick() {
  for (const time of document.querySelectorAll("time[data-at]")) showAge(time);
  if (!document.body.dataset.live) return; // without a stream silence proves nothing
  const silence = Number(document.body.dataset.offlineAfterSeconds) * 1000;
  for (const mark of document.querySelectorAll('[data-is="online"]')) {
    const seen = document.querySelector(`[data-seen="${CSS.escape(mark.dataset.state)}"][data-at]`);
    const patience = Number(mark.dataset.patience ?? 0) * 1000;
    if (seen && now() - Number(seen.dataset.at) > Math.max(silence, patience)) showState(mark.dataset.state, "offline");
  }
}

function localise() {
  for (const time of document.querySelectorAll("time[data-at]")) time.title = local(Number(time.dataset.at));
  for (const time of document.querySelectorAll("time[data-local]")) time.textContent = local(Number(time.dataset.local));
}

localise();
tick();
setInterval(tick, 1000);
document.addEventListener("htmx:load", localise);
