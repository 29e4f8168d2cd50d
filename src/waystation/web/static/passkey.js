// Passkeys: asks the browser for one and brings its answer to the server. Only secure pages opened by name may do that.

const ADDRESS = /^(\d+\.){3}\d+$|:/; // browsers bind passkeys to names, not to numbers
const able = isSecureContext && "PublicKeyCredential" in window && !ADDRESS.test(location.hostname.replace(/^\[|\]$/g, ""));
const REFUSALS = {
  NotAllowedError: "That was cancelled or took too long. Try again.",
  InvalidStateError: "This device has a passkey for this account already.",
  SecurityError: "This browser allows no passkey for this address.",
};

function bytes(text) {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (sign) => sign.charCodeAt(0));
}

function text(buffer) {
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

const named = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

function forCreate(options) {
  const user = { ...options.user, id: bytes(options.user.id) };
  const excludeCredentials = named(options.excludeCredentials);
  return { ...options, challenge: bytes(options.challenge), user, excludeCredentials };
}

function forGet(options) {
  return { ...options, challenge: bytes(options.challenge), allowCredentials: named(options.allowCredentials) };
}

function asJson(credential) {
  const response = {};
  for (const part of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
    if (credential.response[part]) response[part] = text(credential.response[part]);
  }
  const rawId = text(credential.rawId);
  return { id: rawId, rawId, type: credential.type, response, clientExtensionResults: {} };
}

async function post(url, csrf, body) {
  const headers = { "Content-Type": "application/json", Accept: "application/json", "X-CSRFToken": csrf };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  const told = await answer.json();
  if (answer.ok) return told;
  if (told.code === "confirm") location.assign("/account/security/confirm");
  if (answer.status === 401) location.assign("/signin?late=1");
  throw new Error(told.detail);
}

async function go(part, name) {
  const { passkey, begin, finish, csrf = "", next = "/" } = part.dataset;
  const options = await post(begin, csrf, {});
  const credential =
    passkey === "create"
      ? await navigator.credentials.create({ publicKey: forCreate(options) })
      : await navigator.credentials.get({ publicKey: forGet(options) });
  location.assign((await post(finish, csrf, { credential: asJson(credential), name, next })).go);
}

function say(part, words) {
  const line = part.closest("[data-needs-passkeys]").querySelector("[data-passkey-said]");
  const whole = words.charAt(0).toUpperCase() + words.slice(1);
  line.textContent = /[.!?]$/.test(whole) || !whole ? whole : `${whole}.`;
  line.hidden = !words;
}

async function tried(part, button, name = "") {
  say(part, "");
  button.disabled = true;
  try {
    await go(part, name);
  } catch (fault) {
    button.disabled = false;
    say(part, REFUSALS[fault.name] || fault.message);
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-passkey]");
  if (button) tried(button, button);
});
document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-passkey]");
  if (!form) return;
  event.preventDefault();
  tried(form, form.querySelector("button"), form.elements.name.value);
});
if (able) {
  for (const part of document.querySelectorAll("[data-needs-passkeys]")) part.hidden = false;
  for (const part of document.querySelectorAll("[data-lacks-passkeys]")) part.hidden = true;
}
