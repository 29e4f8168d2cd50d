// How series are called: by their metric, and by their device too where there are several.
import { label } from "./format.js";

/** A map from "KEY:metric" to words; of one device nothing needs to be asked. */
export async function names(series) {
  const keys = new Set(series.map((name) => name.slice(0, name.indexOf(":"))));
  if (keys.size < 2) return new Map(series.map((name) => [name, label(name.slice(name.indexOf(":") + 1))]));
  const answer = await fetch(`${document.body.dataset.reads || "/history"}/series?${new URLSearchParams(series.map((name) => ["series", name]))}`).catch(() => null);
  const { devices } = answer?.ok ? await answer.json() : { devices: [] };
  return namesOf(devices, series);
}

/** From [{key, name}]; a device that is not known is called by its key. */
export function namesOf(devices, series) {
  const known = new Map(devices.map(({ key, name }) => [key, name]));
  return new Map(series.map((name) => [name, nameOf(name, known)]));
}

function nameOf(name, known) {
  const key = name.slice(0, name.indexOf(":"));
  return `${known.get(key) ?? key} · ${label(name.slice(name.indexOf(":") + 1))}`;
}
