// How strong a new password is: a guess at once, then the server's judgement, which also knows the common ones.

const PAUSE_MILLISECONDS = 250;
const BITS_WORDS = [
  [40, "weak: easily guessed"],
  [60, "fair: a few more letters help"],
  [80, "good"],
  [Infinity, "strong"],
];
const METER = [10, 30, 50, 75, 100]; // by the server's score

// A rough upper bound: every different sign counts by the kinds of signs in use, repeated ones hardly.
export function bits(password) {
  const kinds = [[/[a-z]/, 26], [/[A-Z]/, 26], [/[0-9]/, 10], [/[^a-zA-Z0-9]/, 33]];
  const alphabet = kinds.reduce((sum, [kind, size]) => sum + (kind.test(password) ? size : 0), 0);
  const different = new Set(password).size;
  return (different + (password.length - different) / 4) * Math.log2(alphabet || 1);
}

function show(input, value, said) {
  document.getElementById(input.dataset.strength).value = value;
  document.getElementById(`${input.dataset.strength}-word`).textContent = said;
}

function guess(input) {
  const missing = Number(input.minLength) - input.value.length;
  const strength = bits(input.value);
  if (!input.value) show(input, 0, "");
  else if (missing > 0) show(input, Math.min(strength, 39), `${missing} more to go`);
  else show(input, Math.min(strength, 100), BITS_WORDS.find(([most]) => strength < most)[1]);
}

async function ask(input) {
  const password = input.value;
  if (password.length < Number(input.minLength)) return;
  const email = input.form.elements.email?.value || input.dataset.strengthEmail || "";
  const body = new URLSearchParams({ password, email, ticket: input.dataset.strengthTicket });
  const answer = await fetch("/password-strength", { method: "POST", body }).catch(() => null);
  if (!answer?.ok || input.value !== password) return;
  const { score, word, advice } = await answer.json();
  show(input, METER[score], advice ? `${word}: ${advice}` : word);
}

let waiting = 0;
document.addEventListener("input", (event) => {
  const input = event.target;
  if (!input.matches("[data-strength]")) return;
  clearTimeout(waiting);
  if (!input.dataset.strengthTicket || input.value.length < Number(input.minLength)) return guess(input);
  waiting = setTimeout(() => ask(input), PAUSE_MILLISECONDS);
});
