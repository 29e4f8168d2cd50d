// A dashboard: tiles that follow readings in ways of their own, and composing by buttons and by dragging.
//
// data-level-of="KEY" data-of="metric" data-warning-below|above data-danger-below|above    coloured by the last value
// data-state-of="KEY" data-of="metric" data-when-true|when-false                           a boolean in its owner's words
// data-unit-of="KEY" data-of="metric" data-unit                                            a value in its owner's unit
// <div id="board" data-arrange data-csrf data-version>                                     while it is composed
import { measured } from "./format.js";

const LEVELS = { good: "In range", warning: "Attention", danger: "Problem" };

function each(kind, device, metric) {
  return document.querySelectorAll(`[data-${kind}-of="${CSS.escape(device)}"][data-of="${CSS.escape(metric)}"]`);
}

// As model.py's Value.level.
function levelOf({ dataset }, value) {
  const beyond = (name) => value <= Number(dataset[`${name}Below`] ?? -Infinity) || value >= Number(dataset[`${name}Above`] ?? Infinity);
  return ["danger", "warning"].find(beyond) ?? "good";
}

function isNewest(shown, at) {
  if (at < Number(shown.dataset.newest ?? 0)) return false;
  shown.dataset.newest = at;
  return true;
}

function showLevel(tile, value) {
  tile.dataset.level = levelOf(tile, value);
  const word = tile.querySelector(".level");
  if (word) word.textContent = LEVELS[tile.dataset.level];
}

function showState(shown, value) {
  shown.dataset.is = typeof value === "boolean" ? String(value) : "";
  shown.textContent = typeof value === "boolean" ? shown.dataset[value ? "whenTrue" : "whenFalse"] : String(value);
}

function take({ device, at, values }) {
  for (const [metric, value] of Object.entries(values)) {
    for (const tile of each("level", device, metric)) if (isNewest(tile, at) && typeof value !== "string") showLevel(tile, Number(value));
    for (const shown of each("state", device, metric)) if (isNewest(shown, at)) showState(shown, value);
    for (const shown of each("unit", device, metric)) if (isNewest(shown, at)) shown.textContent = typeof value === "number" ? measured(value, shown.dataset.unit) : String(value);
  }
}

document.addEventListener("waystation:readings", (event) => take(event.detail));

// A shared dashboard that is changed or taken back ends its stream: then the page asks for itself again, once.
if (document.body.dataset.reads) {
  document.addEventListener("waystation:live", async ({ detail }) => {
    if (detail.state === "live" && !detail.resumed) return;
    const answer = await fetch(location.href, { cache: "no-store", headers: { accept: "text/html" } }).catch(() => null);
    if (!answer || answer.status >= 500) return; // the hub is away, and may come back
    const shown = answer.ok ? new DOMParser().parseFromString(await answer.text(), "text/html") : null;
    const stays = shown && shape(shown) === shape(document);
    if (!stays) location.reload();
  });
}

// What the server drew of it, without what moves by itself.
function shape(page) {
  const tiles = [...page.querySelectorAll("#board .tile")];
  return tiles.map((tile) => `${tile.className} ${tile.ariaLabel} ${tile.querySelector("[data-series]")?.dataset.series ?? ""} ${tile.querySelector(".board-note")?.textContent ?? ""}`).join("\n");
}

// Composing

const board = document.querySelector("#board[data-arrange]");
const STEPS = { earlier: -1, later: 1 };
let saving = Promise.resolve();

function say(words) {
  document.getElementById("board-said").textContent = words;
}

function tiles() {
  return [...board.querySelectorAll("[data-tile]")];
}

function setWidth(tile, width) {
  tile.classList.replace(`w${tile.dataset.width}`, `w${width}`);
  tile.dataset.width = width;
}

function step(tile, name) {
  if (name in STEPS) {
    const all = tiles();
    const other = all[all.indexOf(tile) + STEPS[name]];
    if (!other) return false;
    place(tile, other, STEPS[name] > 0);
  } else {
    const width = Number(tile.dataset.width) + (name === "wider" ? 1 : -1);
    if (width < 1 || width > 4) return false;
    setWidth(tile, width);
  }
  return true;
}

// The other one moves, so that the focus stays where it is.
function place(tile, other, behind) {
  const between = tiles();
  const from = between.indexOf(tile);
  const to = between.indexOf(other);
  if (from < to) between.slice(from + 1, to + (behind ? 1 : 0)).forEach((one) => tile.before(one));
  else between.slice(to + (behind ? 1 : 0), from).reverse().forEach((one) => tile.after(one));
}

function save() {
  const order = tiles().map(({ dataset }) => `${dataset.tile}:${dataset.width}`).join(",");
  saving = saving.then(() => send(order));
}

async function send(order) {
  const body = new URLSearchParams({ csrf: board.dataset.csrf, version: board.dataset.version, order });
  const answer = await fetch(board.dataset.arrange, { method: "POST", body, headers: { accept: "application/json" } }).catch(() => null);
  const told = await answer?.json().catch(() => ({}));
  if (answer?.ok) {
    board.dataset.version = told.version;
    for (const field of document.querySelectorAll('input[name="version"]')) field.value = told.version;
    return;
  }
  refuse(told?.detail ?? "the hub does not answer");
}

function refuse(why) {
  const words = `This was not saved: ${why}. Reload the page to see what is stored.`;
  const notice = Object.assign(document.createElement("p"), { className: "notice danger", id: "board-fault", textContent: words });
  notice.setAttribute("role", "alert");
  document.getElementById("board-fault")?.remove();
  board.before(notice);
}

function compose() {
  board.addEventListener("submit", (event) => {
    const name = event.submitter?.value;
    if (event.submitter?.name !== "step") return;
    event.preventDefault();
    const tile = event.target.closest("[data-tile]");
    if (!step(tile, name)) return;
    event.submitter.focus();
    tile.scrollIntoView({ block: "nearest" });
    say(name in STEPS ? `${tile.ariaLabel}: place ${tiles().indexOf(tile) + 1} of ${tiles().length}` : `${tile.ariaLabel}: ${tile.dataset.width} of 4 columns`);
    save();
  });
  let dragged = null;
  board.addEventListener("dragstart", (event) => {
    dragged = event.target.closest("[data-tile]");
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", dragged.ariaLabel);
    event.dataTransfer.setDragImage(dragged, 16, 16);
    dragged.classList.add("dragged");
  });
  board.addEventListener("dragover", (event) => {
    const over = event.target.closest("[data-tile]");
    if (!dragged) return;
    event.preventDefault();
    if (!over || over === dragged) return;
    const all = tiles();
    place(dragged, over, all.indexOf(dragged) < all.indexOf(over));
  });
  board.addEventListener("drop", (event) => event.preventDefault());
  board.addEventListener("dragend", () => {
    dragged?.classList.remove("dragged");
    dragged = null;
    save();
  });
}

if (board) compose();

// Finding series in a tile's form.
for (const field of document.querySelectorAll("[data-filters]")) {
  const list = document.getElementById(field.dataset.filters);
  field.hidden = false;
  field.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of list.querySelectorAll("[data-words]")) row.hidden = !words.every((word) => row.dataset.words.includes(word));
    for (const group of list.querySelectorAll("[data-group]")) group.hidden = !group.querySelector("[data-words]:not([hidden])");
  });
}
