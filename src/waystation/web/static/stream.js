// A stream of events that begins again by itself, and says on the page how it stands.
//
// The browser's own retry gives up for good at the first answer that is not 200, so the waiting is done here. A page
// kept for "back" would hold one of the browser's six connections, so it lets go of its own.
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30000;
const WORDS = { live: "Live", paused: "Paused", reconnecting: "Reconnecting…" };

export class Stream {
  #sign;
  #address;
  #events;
  #told;
  #source = null;
  #state = "";
  #failures = 0;
  #retry = 0;

  // sign: id of the element that shows the state; address(): where the stream is, or "" for none; events: who hears
  // what, by name; told(state): who hears that it is "live" or "reconnecting".
  constructor({ sign, address, events, told = () => {} }) {
    this.#sign = sign;
    this.#address = address;
    this.#events = events;
    this.#told = told;
    window.addEventListener("pagehide", () => this.close());
    window.addEventListener("pageshow", (event) => event.persisted && this.connect());
    window.addEventListener("online", () => this.#wake());
    document.addEventListener("visibilitychange", () => this.#wake());
  }

  connect() {
    this.close();
    const address = this.#address();
    if (!address) return;
    this.#source = new EventSource(address);
    this.#source.addEventListener("open", () => this.#opened());
    this.#source.addEventListener("error", () => this.lost());
    for (const [name, hear] of Object.entries(this.#events)) this.#source.addEventListener(name, hear);
  }

  close() {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  lost() {
    this.close();
    this.show("reconnecting");
    this.#told("reconnecting");
    const longest = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** this.#failures++);
    this.#retry = setTimeout(() => this.connect(), longest / 2 + Math.random() * (longest / 2));
  }

  show(state = this.#state) {
    this.#state = state;
    const sign = document.getElementById(this.#sign);
    if (!sign || !state || sign.dataset.is === state) return;
    sign.dataset.is = state;
    sign.textContent = WORDS[state];
  }

  #opened() {
    this.#failures = 0;
    this.show("live");
    this.#told("live");
  }

  #wake() {
    if (this.#state === "reconnecting" && !document.hidden) this.connect();
  }
}
