// What happened, while it happens: told that the list has changed, the page reads it anew.
//
// <section id="feed" data-stream="…" data-mark="…"> says where that is told, and what is shown. Whoever is inside of the list with the keyboard is not
// disturbed: a button offers what is new.
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;
const WORDS = { live: "Live", reconnecting: "Reconnecting…" };

let address = "";
let stream = null;
let failures = 0;
let retry = 0;

function begin() {
  const wanted = document.getElementById("feed")?.dataset.stream ?? "";
  document.getElementById("show-new")?.addEventListener("click", read);
  if (wanted !== address) connect(wanted);
  else if (stream?.readyState === EventSource.OPEN) show("live");
}

function connect(wanted) {
  close();
  address = wanted;
  if (!address) return;
  stream = new EventSource(address);
  stream.addEventListener("open", opened);
  stream.addEventListener("error", lost);
  stream.addEventListener("changed", changed);
}

function close() {
  clearTimeout(retry);
  stream?.close();
  stream = null;
}

function show(state) {
  const sign = document.getElementById("told");
  if (sign && sign.dataset.is !== state) {
    sign.dataset.is = state;
    sign.textContent = WORDS[state];
  }
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
  retry = setTimeout(() => connect(address), longest / 2 + Math.random() * (longest / 2));
}

// A stream begins with the mark as it is then, so what happened before it was open is noticed too.
function changed({ data: mark }) {
  const feed = document.getElementById("feed");
  if (mark === feed.dataset.mark) return;
  const isInside = feed.querySelector("ol")?.contains(document.activeElement);
  if (isInside) document.getElementById("show-new").hidden = false;
  else read();
}

function read() {
  window.htmx.ajax("GET", location.pathname + location.search, { target: "#feed", select: "#feed", swap: "outerHTML" });
}

document.addEventListener("htmx:afterSettle", begin);
window.addEventListener("pagehide", close); // a page kept for "back" would hold one of six connections
window.addEventListener("pageshow", (event) => event.persisted && address && connect(address));
begin();
