// What devices write, as they write it: rows that the server made are put on top of the list.
//
// <section id="lines" data-stream="…?after=CURSOR"> says where they come from. Its events:
//   message   a row; the event's id is a cursor, behind which a new stream goes on
//   repeated  a row that is shown, whose count has risen
//   skipped   more was written than can be shown
// A pause closes the stream; going on begins behind the last row, so nothing is left out.
import { Stream } from "./stream.js";

const MOST_ROWS = 500;
const LEFT_OUT = "More was written here than can be shown. “Older” pages have all of it.";

let section = null;
let place = "";
let frame = 0;
const stream = new Stream({
  sign: "tail",
  address,
  events: {
    message: (event) => add(event.data, event.lastEventId),
    repeated: (event) => replace(event.data),
    skipped: () => add(`<li class="entry left-out">${LEFT_OUT}</li>`, ""),
  },
});

function address() {
  if (!section?.dataset.stream || isPaused()) return "";
  const found = new URL(section.dataset.stream, location.href);
  if (place) found.searchParams.set("after", place);
  return found;
}

function begin() {
  const found = document.getElementById("lines");
  if (found === section) return;
  stream.close();
  section = found;
  place = "";
  const pause = document.getElementById("pause");
  if (!section?.dataset.stream || !pause) return;
  pause.hidden = false;
  pause.addEventListener("click", () => (isPaused() ? goOn() : hold()));
  stream.connect();
}

function isPaused() {
  return document.getElementById("pause")?.getAttribute("aria-pressed") === "true";
}

function hold() {
  document.getElementById("pause").setAttribute("aria-pressed", "true");
  stream.close();
  stream.show("paused");
}

function goOn() {
  document.getElementById("pause").setAttribute("aria-pressed", "false");
  stream.connect();
}

function add(row, cursor) {
  const list = section.querySelector(".entries");
  if (cursor) place = cursor;
  section.querySelector(".empty")?.remove();
  list.hidden = false;
  list.insertAdjacentHTML("afterbegin", row);
  while (list.children.length > MOST_ROWS) list.lastElementChild.remove();
  if (list.children.length === MOST_ROWS) pointOlder(list);
  localise();
}

// What fell off the end is on the page of older ones.
function pointOlder(list) {
  const last = [...list.children].findLast((row) => row.dataset.place);
  const older = document.getElementById("older");
  const address = new URL(location.pathname + location.search, location.href);
  address.searchParams.delete("after");
  address.searchParams.set("before", last.dataset.place);
  older.href = address.pathname + address.search;
  older.closest("nav").hidden = false;
}

function replace(row) {
  const number = /data-number="(\d+)"/.exec(row)?.[1];
  const shown = number && section.querySelector(`[data-number="${number}"]`);
  if (!shown) return;
  shown.outerHTML = row;
  localise();
}

// Times in the reader's zone, once a frame however many rows came.
function localise() {
  if (!frame) frame = requestAnimationFrame(localiseNow);
}

function localiseNow() {
  frame = 0;
  document.dispatchEvent(new Event("htmx:load"));
}

document.addEventListener("htmx:afterSettle", begin);
begin();
