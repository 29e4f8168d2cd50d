// Files that are dropped or chosen go to the hub by tus 1.0: in parts, one after the other, resumed after a break, also
// when the page was closed in between and the same file is chosen again.
//
//   <section data-upload data-csrf="TOKEN" data-package="ID or nothing"> an input[type=file] and a ul.uploads </section>
//
// On document.body it tells waystation:uploaded (detail: the file's id) for every file that has become one.
import { text } from "./format.js";

const PART_BYTES = 8 * 1024 * 1024;
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;
const TUS = { "Tus-Resumable": "1.0.0" };
const AGAIN = new Set([0, 409, 423, 429, 502, 503, 504]); // what a later try may mend
const GONE = new Set([404, 410]);

class Refused extends Error {}

class Upload {
  constructor(file, zone) {
    this.file = file;
    this.zone = zone;
    this.isCancelled = false;
    this.row = newRow(file, () => this.cancel());
    this.key = `waystation-upload:${file.name}:${file.size}:${file.lastModified}`;
    zone.list.append(this.row.item);
  }

  // Until it is a file, is refused, or was cancelled. Never fails.
  async run() {
    try {
      const id = await this.send();
      if (this.zone.packageId) await this.putIntoPackage(id);
      this.show("done", this.zone.packageId ? "In the package" : "Uploaded");
      document.body.dispatchEvent(new CustomEvent("waystation:uploaded", { detail: id }));
    } catch (fault) {
      if (!this.isCancelled) this.show("failed", fault instanceof Refused ? fault.message : String(fault));
    }
  }

  async send() {
    let at; // how much the hub has; undefined when it must be asked
    for (let failures = 0; ; failures++) {
      if (this.isCancelled) throw new Refused("Cancelled");
      at ??= await this.offset();
      if (typeof at === "string") return this.finished(at);
      const answer = at === null ? await this.begin() : await this.part(at);
      at = undefined;
      if (answer.ok) {
        failures = -1;
        const id = answer.header("X-File");
        if (id) return this.finished(id);
        at = Number(answer.header("Upload-Offset"));
      } else if (GONE.has(answer.status)) this.place = null;
      else if (AGAIN.has(answer.status)) await this.rest(failures);
      else throw new Refused(answer.sentence);
    }
  }

  finished(id) {
    localStorage.removeItem(this.key);
    return id;
  }

  get place() {
    return localStorage.getItem(this.key);
  }

  set place(path) {
    if (path) localStorage.setItem(this.key, path);
    else localStorage.removeItem(this.key);
  }

  // How much the hub has; the file's id when that is all of it, null when it knows nothing of this upload.
  async offset() {
    if (!this.place) return null;
    const answer = await this.ask("HEAD", this.place);
    if (GONE.has(answer.status) || answer.status === 403) return (this.place = null);
    if (!answer.ok) {
      if (!AGAIN.has(answer.status)) throw new Refused(answer.sentence);
      await this.rest(1);
      return this.isCancelled ? null : this.offset();
    }
    return answer.header("X-File") ?? Number(answer.header("Upload-Offset"));
  }

  async begin() {
    const named = `filename ${base64(this.file.name)}`;
    const answer = await this.ask("POST", "/api/uploads", {
      "Upload-Length": String(this.file.size),
      "Upload-Metadata": named,
    });
    if (answer.ok) this.place = answer.header("Location");
    return answer;
  }

  part(offset) {
    const headers = { "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" };
    return this.ask("PATCH", this.place, headers, this.file.slice(offset, offset + PART_BYTES), offset);
  }

  ask(method, path, headers = {}, body = null, offset = 0) {
    return new Promise((resolve) => {
      const request = (this.request = new XMLHttpRequest());
      request.open(method, path);
      const all = { ...TUS, "X-CSRFToken": this.zone.csrf, Accept: "application/json", ...headers };
      for (const [name, value] of Object.entries(all)) request.setRequestHeader(name, value);
      request.upload.addEventListener("progress", (event) => body && this.progress(offset + event.loaded));
      request.addEventListener("loadend", () => resolve(answerOf(request)));
      request.send(body);
    });
  }

  async rest(failures) {
    this.show("waiting", navigator.onLine === false ? "Offline; goes on by itself" : "Interrupted; goes on by itself");
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.max(0, failures));
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, wait);
      window.addEventListener("online", () => (clearTimeout(timer), resolve()), { once: true });
    });
  }

  progress(done) {
    this.row.bar.value = this.file.size ? Math.min(1, done / this.file.size) : 1;
    this.show("sending", `${text("size_bytes", done)} of ${text("size_bytes", this.file.size)}`);
  }

  async putIntoPackage(id) {
    const answer = await this.ask(
      "POST",
      `/api/packages/${this.zone.packageId}/members`,
      { "Content-Type": "application/json" },
      JSON.stringify({ file: id }),
    );
    if (!answer.ok) throw new Refused(answer.sentence);
  }

  async cancel() {
    this.isCancelled = true;
    this.request?.abort();
    this.show("failed", "Cancelled");
    if (this.place) await this.ask("DELETE", this.place);
    this.place = null;
  }

  show(state, said) {
    this.row.item.dataset.is = state;
    this.row.said.textContent = said;
    if (state === "done") this.row.bar.value = 1;
    this.row.cancel.hidden = state === "done" || state === "failed";
  }
}

function answerOf(request) {
  let sentence = `The hub answered ${request.status}`;
  try {
    const told = JSON.parse(request.responseText).detail;
    if (told) sentence = told.charAt(0).toUpperCase() + told.slice(1);
  } catch {
    // not JSON: the status says enough
  }
  return {
    status: request.status,
    ok: request.status >= 200 && request.status < 300,
    header: (name) => request.getResponseHeader(name),
    sentence,
  };
}

function newRow(file, cancelled) {
  const item = document.createElement("li");
  const name = Object.assign(document.createElement("span"), { className: "name", textContent: file.name });
  const cancel = Object.assign(document.createElement("button"), { type: "button", className: "small quiet" });
  cancel.textContent = "Cancel";
  cancel.setAttribute("aria-label", `Cancel the upload of ${file.name}`);
  cancel.addEventListener("click", cancelled);
  const bar = Object.assign(document.createElement("progress"), { max: 1, value: 0 });
  bar.setAttribute("aria-label", `Upload of ${file.name}`);
  const said = Object.assign(document.createElement("span"), { className: "said", textContent: "Waiting for its turn" });
  item.append(name, cancel, bar, said);
  return { item, bar, said, cancel };
}

function base64(words) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(words)));
}

function zoneOf(section) {
  const zone = {
    csrf: section.dataset.csrf,
    packageId: section.dataset.package,
    list: section.querySelector(".uploads"),
    turn: Promise.resolve(),
  };
  const take = (files) => {
    for (const file of files) {
      const upload = new Upload(file, zone);
      zone.turn = zone.turn.then(() => upload.run());
    }
  };
  const input = section.querySelector("input[type=file]");
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = "";
  });
  return { drop: section.querySelector(".drop"), take };
}

const section = document.querySelector("[data-upload]");
if (section) {
  const { drop, take } = zoneOf(section);
  const over = (is) => drop.classList.toggle("over", is);
  // Anywhere on the page: beside the zone the browser would leave the page and show the file.
  window.addEventListener("dragover", (event) => (event.preventDefault(), over(true)));
  window.addEventListener("dragleave", (event) => event.relatedTarget === null && over(false));
  window.addEventListener("drop", (event) => {
    event.preventDefault();
    over(false);
    take([...event.dataTransfer.files]);
  });
}
