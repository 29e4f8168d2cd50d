// Copy buttons and click-to-select. A hub is often reached by plain HTTP, where the clipboard's own interface is missing.

function select(element) {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
}

async function copy(element) {
  if (navigator.clipboard && isSecureContext) return navigator.clipboard.writeText(element.textContent);
  select(element);
  if (!document.execCommand("copy")) throw new Error("the browser refused");
}

async function pressed(button) {
  const was = button.textContent;
  try {
    await copy(document.getElementById(button.dataset.copies));
    button.textContent = "Copied";
  } catch {
    button.textContent = "Select and copy by hand";
  }
  setTimeout(() => (button.textContent = was), 2000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copies]");
  if (button) pressed(button);
});
document.addEventListener("focusin", (event) => {
  if (event.target.matches(".copyable pre")) select(event.target);
});
