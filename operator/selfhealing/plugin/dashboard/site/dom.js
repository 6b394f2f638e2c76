// Makes and changes elements. Whatever comes from the cluster becomes text, never HTML.

import { clock, fill, span, words } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const SIGNS = { ok: "✔", busy: "◌", warning: "!", failed: "✖", neutral: "·" };
const MOODS = { ok: "good", busy: "busy", warning: "warn", failed: "bad", neutral: "" };

export const byId = (id) => document.getElementById(id);

// An element with a class and children: elements, texts, lists of these, or nothing (null, "" and
// false).
export function make(name, kind, ...children) {
  const node = document.createElement(name);
  if (kind) node.className = kind;
  node.append(...children.flat(Infinity).filter(Boolean));
  return node;
}

export function shape(name, attributes, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children.flat(Infinity).filter(Boolean));
  return node;
}

// Change text only where it differs, so that nothing is read out or selected anew.
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Build the content of a place anew only if what it shows has changed. What had the focus there
// (by its data-key) has it again.
export function show(place, shown, build) {
  const key = JSON.stringify(shown);
  if (place.dataset.shown === key) return;
  place.dataset.shown = key;
  const focused = place.contains(document.activeElement) && document.activeElement.dataset.key;
  const open = new Set([...place.querySelectorAll("details[open]")].map((node) => node.dataset.key));
  place.replaceChildren(...build().flat().filter(Boolean));
  for (const node of place.querySelectorAll("details")) node.open = open.has(node.dataset.key);
  if (focused) {
    const again = [...place.querySelectorAll("[data-key]")].find((node) => node.dataset.key === focused);
    again?.focus();
  }
}

// The sign of a level: it is told without colours, too.
export function sign(level) {
  const node = make("span", `sign ${MOODS[level]}`, SIGNS[level]);
  node.setAttribute("role", "img");
  node.setAttribute("aria-label", words.level[level]);
  return node;
}

export const badge = (level, text) => make("span", `badge ${MOODS[level]}`, text);

export function button(kind, text, key, act) {
  const node = make("button", kind, text);
  node.type = "button";
  node.dataset.key = key;
  node.addEventListener("click", act);
  return node;
}

export function fact(label, ...value) {
  return make("div", "", make("dt", "", label), make("dd", "", ...value));
}

// ---- time -----------------------------------------------------------------------------------

let skew = 0; // milliseconds that the API server's clock is ahead of this machine's

export function noteTime(readAt) {
  skew = Date.parse(readAt) - Date.now();
}

export const now = () => Date.now() + skew;

// How long ago something was, or in how long it is; it is kept right by tick().
export function age(at) {
  const node = make("time", "age");
  node.dateTime = at;
  node.title = clock(at, true);
  tell(node);
  return node;
}

function tell(node) {
  const seconds = (now() - Date.parse(node.dateTime)) / 1000;
  write(node, fill(seconds < -1 ? words.in : words.ago, { age: span(Math.abs(seconds)) }));
}

export function tick() {
  for (const node of document.querySelectorAll("time.age")) tell(node);
}
