// What happened, while it happens: told that the list has changed, the page reads it anew.
//
// <section id="feed" data-stream="…" data-mark="…"> says where that is told, and what is shown. Whoever is inside of the list with the keyboard is not
// disturbed: a button offers what is new.
import { Stream } from "./stream.js";

let address = "";
const stream = new Stream({ sign: "told", address: () => address, events: { changed } });

function begin() {
  const wanted = document.getElementById("feed")?.dataset.stream ?? "";
  document.getElementById("show-new")?.addEventListener("click", read);
  if (wanted === address) return stream.show();
  address = wanted;
  return stream.connect();
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
begin();
