// The hub's time: a phone's clock may be minutes off, and then every "12 s ago" would be wrong.
const offset = Number(document.body.dataset.now || Date.now()) - Date.now();

/** Milliseconds since 1970 as the hub counts them. */
export function now() {
  return Date.now() + offset;
}

const LOCAL = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short", timeStyle: "medium" });

/** `2026-01-31 12:00:05` in the reader's time zone: the Swedish form is ISO 8601 without its T. */
export function local(at) {
  return LOCAL.format(at);
}
