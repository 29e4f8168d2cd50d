// Opens dialogs where the browser does not yet know `command`, and those that the server wants open with the page.

function obey(event) {
  const button = event.target.closest("button[commandfor]");
  const dialog = button && document.getElementById(button.getAttribute("commandfor"));
  if (!dialog) return;
  if (button.getAttribute("command") === "show-modal") dialog.showModal();
  else dialog.close();
}

if (!("commandForElement" in HTMLButtonElement.prototype)) document.addEventListener("click", obey);
for (const dialog of document.querySelectorAll("dialog[data-open-now]")) dialog.showModal();
