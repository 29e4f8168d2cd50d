// Talks to a thermostat itself, from this browser and by no detour: <form data-thermostat-at="192.168.1.50">.
// The page's content policy lets it call this one address.

const PATIENCE_MS = 6000;
const form = document.querySelector("[data-thermostat-at]");

async function call(options = {}) {
  const answer = await fetch(`http://${form.dataset.thermostatAt}/api/config`, { ...options, credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error ?? `it answered ${answer.status}`);
  return told;
}

function say(words, kind) {
  const place = form.querySelector("[role=status]");
  place.textContent = words;
  place.className = kind;
}

function explain(fault) {
  if (fault instanceof TypeError || fault.name === "TimeoutError") {
    return location.protocol === "https:"
      ? "This browser cannot reach it: pages with https may not call a device without. Open the thermostat's own page instead."
      : "It does not answer. Are this browser and the thermostat on the same network?";
  }
  return `The thermostat says: ${fault.message}`;
}

function show(config) {
  form.setpoint_c.value = Number(config.setpoint_c).toFixed(1);
  form.hysteresis_c.value = Number(config.hysteresis_c).toFixed(1);
  form.mode.value = String(config.mode).toUpperCase();
  form.querySelector("fieldset").disabled = false;
}

async function load() {
  say("Asking the thermostat…", "note");
  try {
    show(await call());
    say("These are its settings now.", "note");
  } catch (fault) {
    say(explain(fault), "error");
  }
}

async function save(event) {
  event.preventDefault();
  say("Sending…", "note");
  const wanted = { setpoint_c: Number(form.setpoint_c.value), hysteresis_c: Number(form.hysteresis_c.value), mode: form.mode.value };
  try {
    await call({ method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(wanted) });
    show(await call());
    say("Saved. The thermostat works with it.", "note");
  } catch (fault) {
    say(explain(fault), "error");
  }
}

if (form) {
  form.addEventListener("submit", save);
  load();
}
