// The picker of series: a combobox whose list holds the metrics of every device that fits the words, by device.
import { label } from "./format.js";
import { make } from "./make.js";

const TYPING_MS = 150;

export class Picker {
  /** `isChosen(name)` tells, `toggle(name, {device, metric, …})` changes what is on the chart. */
  constructor(input, list, { isChosen, toggle }) {
    Object.assign(this, { input, list, isChosen, toggle, active: -1, offers: [] });
    input.addEventListener("focus", () => this.open());
    input.addEventListener("click", () => this.open());
    input.addEventListener("input", () => this.search());
    input.addEventListener("keydown", (event) => this.key(event));
    input.addEventListener("blur", () => this.close());
    list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
    list.addEventListener("click", (event) => this.press(event.target.closest("[role=option]")));
  }

  open() {
    if (!this.list.hidden) return;
    this.list.hidden = false;
    this.input.ariaExpanded = "true";
    this.fetch();
  }

  close() {
    this.list.hidden = true;
    this.input.ariaExpanded = "false";
    this.mark(-1);
  }

  search() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => (this.list.hidden ? this.open() : this.fetch()), TYPING_MS);
  }

  async fetch() {
    this.asking?.abort();
    this.asking = new AbortController();
    try {
      const answer = await fetch(`/history/series?${new URLSearchParams({ q: this.input.value })}`, { signal: this.asking.signal });
      if (!answer.ok) throw new Error(`the hub answered ${answer.status}`);
      this.fill(await answer.json());
    } catch (fault) {
      if (fault.name !== "AbortError") this.list.replaceChildren(make("p", { className: "note" }, `The list could not be fetched: ${fault.message}.`));
    }
  }

  fill({ devices, more }) {
    this.offers = devices.flatMap(({ key, name, series }) => series.map((one) => ({ ...one, key, device: name, name: `${key}:${one.metric}` })));
    this.mark(-1);
    let number = 0;
    const groups = devices.map(({ name, series }, g) => make("div", { role: "group", ariaLabel: name },
      make("div", { className: "group", id: `picker-group-${g}`, ariaHidden: "true" }, name),
      ...series.map(() => this.option(number++))));
    const none = make("p", { className: "note" }, this.input.value ? "Nothing fits these words." : "No device has sent a reading yet.");
    const rest = make("p", { className: "note" }, "There are more: type what you look for.");
    this.list.replaceChildren(...(groups.length ? groups : [none]), ...(more ? [rest] : []));
  }

  option(number) {
    const offer = this.offers[number];
    return make("div", { role: "option", id: `picker-${number}`, ariaSelected: String(this.isChosen(offer.name)), dataset: { number } },
      make("span", {}, label(offer.metric)), make("span", { className: "mono" }, offer.metric));
  }

  options() {
    return this.list.querySelectorAll("[role=option]");
  }

  mark(index) {
    this.options()[this.active]?.classList.remove("active");
    this.active = index;
    const option = this.options()[index];
    option?.classList.add("active");
    option?.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", option?.id ?? "");
  }

  press(option) {
    if (!option) return;
    const offer = this.offers[Number(option.dataset.number)];
    this.toggle(offer.name, offer);
    option.ariaSelected = String(this.isChosen(offer.name));
    this.mark(Number(option.dataset.number));
  }

  key(event) {
    const last = this.options().length - 1;
    const steps = { ArrowDown: Math.min(last, this.active + 1), ArrowUp: Math.max(0, this.active - 1), PageDown: Math.min(last, this.active + 8), PageUp: Math.max(0, this.active - 8) };
    if (event.key in steps) {
      event.preventDefault();
      if (this.list.hidden) this.open();
      else this.mark(steps[event.key]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.press(this.options()[this.active] ?? (this.options().length === 1 ? this.options()[0] : null));
    } else if (event.key === "Escape" && !this.list.hidden) {
      event.preventDefault();
      this.close();
    }
  }
}
