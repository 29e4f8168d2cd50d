// A thermostat's states as strips: a colour, a pattern and, where there is room, the word itself; a legend for the rest.
import { local } from "./clock.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 22;
const LETTER = 7.5; // a letter's width, about
const WORDS = {
  OFF: ["off", "Off"], HEAT: ["heat", "Heat"], COOL: ["cool", "Cool"], AUTO: ["auto", "Auto"],
  HEAT_ON: ["heat", "Heating"], COOL_ON: ["cool", "Cooling"],
};

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function named(value) {
  return WORDS[value] ?? ["unknown", value];
}

/** One strip; `room` says where the plot above begins and how wide it is, and which time it shows. */
export function strip(title, parts, { left, width, from, to }) {
  const place = (at) => Math.max(0, Math.min(width, ((at - from) / (to - from)) * width));
  const picture = draw("svg", { width, height: HEIGHT, role: "img", "aria-label": said(title, parts) });
  for (const [begin, end, value] of parts) picture.append(...box(place(begin), place(end), value, begin));
  const row = document.createElement("div");
  row.className = "strip";
  const name = document.createElement("span");
  name.textContent = title;
  picture.style.marginLeft = `${left}px`;
  row.append(name, picture);
  return row;
}

function box(begin, end, value, at) {
  const [kind, word] = named(value);
  const wide = Math.max(1, end - begin);
  const tip = draw("title", {});
  tip.textContent = `${word} from ${local(at)}`;
  const shape = { x: begin, y: 0, width: wide, height: HEIGHT };
  const parts = [draw("rect", { ...shape, class: `state-box is-${kind}` }, tip)];
  if (kind === "cool") parts.push(...hatch(begin, wide));
  if (wide > word.length * LETTER + 8) {
    const written = draw("text", { x: begin + wide / 2, y: HEIGHT / 2, class: `state-word is-${kind}` });
    written.textContent = word;
    parts.push(written);
  }
  return parts;
}

function hatch(begin, wide) {
  const lines = [];
  for (let x = begin + 4; x < begin + wide; x += 8) lines.push(draw("line", { x1: x, x2: x, y1: HEIGHT - 4, y2: HEIGHT, class: "state-hatch" }));
  return lines;
}

function said(title, parts) {
  const total = parts.reduce((sum, [from, to]) => sum + to - from, 0) || 1;
  const lasting = new Map();
  for (const [from, to, value] of parts) lasting.set(value, (lasting.get(value) ?? 0) + to - from);
  const shares = [...lasting].map(([value, time]) => `${named(value)[1]} ${Math.round((100 * time) / total)} %`);
  return `${title}: ${shares.join(", ")} of the time`;
}

export function legend(values) {
  const list = document.createElement("ul");
  list.className = "keys state-keys";
  const seen = new Map([...new Set(values)].map((value) => [named(value).join(" "), named(value)]));
  for (const [kind, word] of seen.values()) {
    const item = document.createElement("li");
    const swatch = document.createElement("span");
    swatch.className = `state-swatch is-${kind}`;
    item.append(swatch, word);
    list.append(item);
  }
  return list;
}
