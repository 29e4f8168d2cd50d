// The hub's time: a phone's clock may be minutes off, and then every "12 s ago" would be wrong.
const offset = Number(document.body.dataset.now || Date.now()) - Date.now();

/** Milliseconds since 1970 as the hub counts them. */
export function now() {
  return Date.now() + offset;
}

const clocks = new Map();

// The Swedish form is ISO 8601 without its T.
function clockOf(zone) {
  if (!clocks.has(zone)) {
    clocks.set(zone, new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium", timeZone: zone || undefined }));
  }
  return clocks.get(zone);
}

/** `2026-01-31 12:00:05` in the reader's time zone, or in the one named. */
export function local(at, zone = "") {
  return clockOf(zone).format(at);
}

/** The name of the reader's time zone, as in Europe/Berlin. */
export function ownZone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
}
