// Forms: one sending per press, a typed name that must fit, a password to be seen.

function showPassword(box) {
  document.getElementById(box.dataset.shows).type = box.checked ? "text" : "password";
}

function mustEqual(input) {
  const wanted = input.dataset.mustEqual;
  input.setCustomValidity(input.value.trim() === wanted ? "" : `Type ${wanted} to go on.`);
}

document.addEventListener("input", (event) => {
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
