// Forms: one sending per press, a typed name that must fit, and how strong a new password looks.

const BITS_WORDS = [
  [40, "weak: easily guessed"],
  [60, "fair: a few more letters help"],
  [80, "good"],
  [Infinity, "strong"],
];

// A rough upper bound: every different sign counts by the kinds of signs in use, repeated ones hardly.
export function bits(password) {
  const kinds = [[/[a-z]/, 26], [/[A-Z]/, 26], [/[0-9]/, 10], [/[^a-zA-Z0-9]/, 33]];
  const alphabet = kinds.reduce((sum, [kind, size]) => sum + (kind.test(password) ? size : 0), 0);
  const different = new Set(password).size;
  return (different + (password.length - different) / 4) * Math.log2(alphabet || 1);
}

function showStrength(input) {
  const meter = document.getElementById(input.dataset.strength);
  const word = document.getElementById(`${input.dataset.strength}-word`);
  const least = Number(input.minLength);
  const strength = bits(input.value);
  const short = input.value.length < least;
  meter.value = short ? Math.min(strength, 39) : Math.min(strength, 100);
  const said = short ? `${least - input.value.length} more to go` : BITS_WORDS.find(([most]) => strength < most)[1];
  word.textContent = input.value ? said : "";
}

function showPassword(box) {
  document.getElementById(box.dataset.shows).type = box.checked ? "text" : "password";
}

function mustEqual(input) {
  const wanted = input.dataset.mustEqual;
  input.setCustomValidity(input.value.trim() === wanted ? "" : `Type ${wanted} to go on.`);
}

document.addEventListener("input", (event) => {
  if (event.target.matches("[data-strength]")) showStrength(event.target);
  if (event.target.matches("[data-shows]")) showPassword(event.target);
  if (event.target.matches("[data-must-equal]")) mustEqual(event.target);
});
for (const input of document.querySelectorAll("[data-must-equal]")) mustEqual(input);

document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = "yes";
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});
