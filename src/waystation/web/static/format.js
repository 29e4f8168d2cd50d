// How a metric's name and value read to a person. ../format.py follows the same rules; one vector file proves both.

export const NOTHING = "–";
const SPACE = "\u202f";
const HUGE = 1e15; // from here on a power of ten says more than digits
const CLOCK = [[86400, "d", 3600, "h"], [3600, "h", 60, "m"], [60, "m", 1, "s"]];

// The first suffix that fits wins, so longer ones stand before the ones they end with.
const UNITS = {
  bytes_per_second: "B/s", bytes: "B", seconds: "s", percent: "%", c: "°C", hpa: "hPa", v: "V", a: "A", w: "W",
  kwh: "kWh", lux: "lx", ppm: "ppm", dbm: "dBm", rpm: "rpm",
};
const DECIMALS = { "%": 1, "°C": 1, hPa: 1, V: 2, ppm: 0, dBm: 0, rpm: 0 };
const WORDS = { co2: "CO₂", pm1: "PM1", pm25: "PM2.5", pm10: "PM10", ph: "pH", wifi: "Wi-Fi" };
const ACRONYMS =
  "ac api cpu dc dns gpio gps gpu http id io ip mac mqtt nfc nox os pid ram rfid rgb rssi rtc rx sd snr ssd ssid tcp " +
  "tvoc tx udp ups usb uv voc";
for (const word of ACRONYMS.split(" ")) WORDS[word] = word.toUpperCase();
const SPECIAL = new Set(Object.values(WORDS));

function suffix(metric) {
  const fits = (ending) => metric.endsWith("_" + ending) && metric.length > ending.length + 1;
  return Object.keys(UNITS).find(fits) ?? "";
}

export function unit(metric) {
  return UNITS[suffix(metric)] ?? "";
}

export function label(metric) {
  const ending = suffix(metric);
  const stem = ending ? metric.slice(0, -ending.length - 1) : metric;
  const parts = stem.replace(/([a-z0-9])([A-Z])/g, "$1 $2").toLowerCase().split(/[^a-z0-9]+/).filter(Boolean);
  const words = parts.map((part) => (Object.hasOwn(WORDS, part) ? WORDS[part] : part));
  if (words.length === 0) return metric;
  if (!SPECIAL.has(words[0])) words[0] = words[0][0].toUpperCase() + words[0].slice(1);
  return words.join(" ");
}

export function text(metric, value) {
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "string") return value;
  return measured(value, unit(metric));
}

/** A number in a unit that is known otherwise than by a metric's name. */
export function measured(value, inUnit) {
  return Number.isFinite(value) ? measure(value, inUnit) : NOTHING;
}

export function age(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  for (const [size, word] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (whole >= size) return `${Math.floor(whole / size)} ${word} ago`;
  }
  return whole < 5 ? "just now" : `${whole} s ago`;
}

function measure(value, measured) {
  if (measured === "B" || measured === "B/s") return scaled(value) + measured;
  if (measured === "s") return duration(value);
  const number = measured in DECIMALS ? fixed(value, DECIMALS[measured]) : plain(value);
  return measured ? `${number} ${measured}` : number;
}

function plain(value) {
  const size = Math.abs(value);
  if (size > 0 && size < 0.001) return value.toExponential(2);
  if (Number.isInteger(value)) return fixed(value, 0);
  return fixed(value, size >= 100 ? 1 : size >= 1 ? 2 : 3);
}

function scaled(value) {
  let prefix = "";
  for (const next of ["Ki", "Mi", "Gi", "Ti", "Pi"]) {
    if (Math.abs(value) < 1024) break;
    value /= 1024;
    prefix = next;
  }
  const size = Math.abs(value);
  return `${fixed(value, !prefix || size >= 100 ? 0 : size >= 10 ? 1 : 2)} ${prefix}`;
}

function duration(value) {
  const size = Math.abs(value);
  if (!(size >= 60 && size < HUGE)) return `${plain(value)} s`;
  const [long, word, short, shortWord] = CLOCK.find((step) => size >= step[0]);
  const whole = Math.floor(size);
  return `${value < 0 ? "-" : ""}${Math.floor(whole / long)} ${word} ${Math.floor((whole % long) / short)} ${shortWord}`;
}

function fixed(value, decimals) {
  if (Math.abs(value) >= HUGE) return value.toExponential(2);
  const digits = Math.abs(value).toFixed(decimals);
  const sign = value < 0 && /[1-9]/.test(digits) ? "-" : "";
  const [whole, fraction] = digits.split(".");
  const grouped = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, SPACE) : whole;
  return sign + grouped + (fraction === undefined ? "" : "." + fraction);
}
