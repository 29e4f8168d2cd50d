// What devices write, as they write it: rows that the server made are put on top of the list.
//
// <section id="lines" data-stream="…?after=CURSOR"> says where they come from. Its events:
//   message   a row; the event's id is a cursor, behind which a new stream goes on
//   repeated  a row that is shown, whose count has risen
//   skipped   more was written than can be shown
// A pause closes the stream; going on begins behind the last row, so nothing is left out.
const MOST_ROWS = 500;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;
const WORDS = { live: "Live", paused: "Paused", reconnecting: "Reconnecting…" };
const LEFT_OUT = "More was written here than can be shown. “Older” pages have all of it.";

let section = null;
let stream = null;
let place = "";
let failures = 0;
let retry = 0;
let frame = 0;

function begin() {
  const found = document.getElementById("lines");
  if (found === section) return;
  close();
  section = found;
  place = "";
  const pause = document.getElementById("pause");
  if (!section?.dataset.stream || !pause) return;
  pause.hidden = false;
  pause.addEventListener("click", () => (isPaused() ? goOn() : hold()));
  connect();
}

function isPaused() {
  return document.getElementById("pause").getAttribute("aria-pressed") === "true";
}

function hold() {
  document.getElementById("pause").setAttribute("aria-pressed", "true");
  close();
  show("paused");
}

function goOn() {
  document.getElementById("pause").setAttribute("aria-pressed", "false");
  connect();
}

function close() {
  clearTimeout(retry);
  stream?.close();
  stream = null;
}

function show(state) {
  const sign = document.getElementById("tail");
  if (sign && sign.dataset.is !== state) {
    sign.dataset.is = state;
    sign.textContent = WORDS[state];
  }
}

function connect() {
  close();
  const address = new URL(section.dataset.stream, location.href);
  if (place) address.searchParams.set("after", place);
  stream = new EventSource(address);
  stream.addEventListener("open", opened);
  stream.addEventListener("error", lost);
  stream.addEventListener("message", (event) => add(event.data, event.lastEventId));
  stream.addEventListener("repeated", (event) => replace(event.data));
  stream.addEventListener("skipped", () => add(`<li class="entry left-out">${LEFT_OUT}</li>`, ""));
}

function opened() {
  failures = 0;
  show("live");
}

// The browser's own retry gives up for good at the first answer that is not 200, so the waiting is done here.
function lost() {
  close();
  show("reconnecting");
  const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures++);
  retry = setTimeout(connect, longest / 2 + Math.random() * (longest / 2));
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
window.addEventListener("pagehide", close); // a page kept for "back" would hold one of six connections
window.addEventListener("pageshow", (event) => event.persisted && section?.dataset.stream && !isPaused() && connect());
begin();
