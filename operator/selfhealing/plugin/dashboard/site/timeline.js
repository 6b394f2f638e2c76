// The time line as a drawing, in the colours and shapes of the lab's reports, and as a list.

import { age, badge, make, now, shape } from "./dom.js";
import { clock, fill, words } from "./words.js";

const ROW = 24;
const NARROW = 600; // below this width there is less room for names
const TICK = 105; // the least distance between two ticks
const END = 16; // between the end and the border
const MAX_PODS = 12;
const SECOND = 1000;
const RANGES = { "1h": 3600, "6h": 21600, "24h": 86400, "7d": 604800 };
const STEPS = [10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400];
const SHORTEST = 120; // seconds that are drawn, also of an app that is younger
const MARGIN = 0.03; // of the time that is drawn, before the oldest entry
const FEW = 6; // entries that the range shows if nobody has chosen one

export const rangeNames = [...Object.keys(RANGES), "all"];

// The smallest range with a few entries in it.
export function fittingRange(entries) {
  const enough = Math.min(FEW, entries.length);
  return rangeNames.find((name) => inRange(entries, name).length >= enough) ?? "all";
}

export function inRange(entries, range) {
  const start = range in RANGES ? now() - RANGES[range] * SECOND : -Infinity;
  return entries.filter((entry) => Date.parse(entry.until ?? entry.at) >= start);
}

// Draw the time line in a width, so that a phone need not scroll sideways.
export function drawTimeline(app, range, width) {
  const isNarrow = width < NARROW;
  const [left, right, nameLength] = [isNarrow ? 108 : 190, width - END, isNarrow ? 13 : 24];
  const row = (name, marks, isPod) => drawRow(left, nameLength, name, marks, isPod);
  const end = now();
  const entries = inRange(app.timeline, range);
  const pods = [...app.revisions.flatMap((revision) => revision.pods), ...app.otherPods];
  const oldest = Math.min(end - SHORTEST * SECOND, ...entries.map((entry) => Date.parse(entry.at)));
  const room = (end - oldest) * MARGIN;
  const start = Math.max(range in RANGES ? end - RANGES[range] * SECOND : -Infinity, oldest - room);
  const x = (at) => left + ((Math.min(Math.max(at, start), end) - start) / (end - start)) * (right - left);
  const rows = [
    row(words.rows.app, entries.filter(({ kind }) => ["state", "rollout", "scaling"].includes(kind)).map((entry) => mark(entry, x))),
    row(words.rows.diagnosis, entries.filter(({ kind }) => kind === "diagnosis").map((entry) => diagnosis(entry, app, x, end))),
    row(words.rows.healing, entries.filter(({ kind }) => kind === "healing").map((entry) => action(entry, x, end))),
  ];
  const restarts = entries.filter(({ kind }) => kind === "restart");
  const drawn = new Set();
  for (const pod of pods.slice(0, MAX_PODS)) {
    const own = restarts.filter(({ subject }) => subject === `pod/${pod.name}`);
    own.forEach((entry) => drawn.add(entry));
    rows.push(row(pod.name, [life(pod, x, end), ...own.map((entry) => restart(entry, x))], true));
  }
  const gone = restarts.filter((entry) => !drawn.has(entry));
  if (gone.length) rows.push(row(words.rows.gone, gone.map((entry) => restart(entry, x))));
  const bottom = rows.length * ROW + 10;
  const svg = shape("svg", { class: "plot", viewBox: `0 0 ${width} ${bottom + 26}`, role: "img" });
  const withDay = end - start > 86400 * SECOND;
  const label = { name: app.key.name, from: clock(start, true), to: clock(end, true), count: entries.length };
  svg.setAttribute("aria-label", fill(words.timeline_label, label));
  svg.append(...axis({ start, end, bottom, left, right, x, withDay }));
  rows.forEach((made, place) => {
    made.setAttribute("transform", `translate(0 ${place * ROW + 8})`);
    svg.append(made);
  });
  return { svg, hidden: Math.max(0, pods.length - MAX_PODS) };
}

function axis({ start, end, bottom, left, right, x, withDay }) {
  const length = (end - start) / SECOND;
  const most = Math.max(2, (right - left) / TICK);
  const step = STEPS.find((seconds) => length / seconds <= most) ?? Math.ceil(length / most / 86400) * 86400;
  const offset = new Date(end).getTimezoneOffset() * 60 * SECOND; // ticks are round in local time
  const made = [shape("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom })];
  const first = Math.ceil((start - offset) / (step * SECOND)) * step * SECOND + offset;
  for (let at = first; at <= end; at += step * SECOND) {
    const options = step >= 86400 || withDay ? { month: "numeric", day: "numeric" } : {};
    const hours = step < 86400 ? { hour: "2-digit", minute: "2-digit", hour12: false } : {};
    const seconds = step < 60 ? { second: "2-digit" } : {};
    const text = new Date(at).toLocaleString(document.documentElement.lang, { ...options, ...hours, ...seconds });
    made.push(shape("line", { class: "grid", x1: x(at), x2: x(at), y1: 0, y2: bottom }));
    made.push(shape("text", { x: Math.min(x(at), right - 20), y: bottom + 18, "text-anchor": "middle" }, text));
  }
  return made;
}

function drawRow(left, nameLength, name, marks, isPod = false) {
  const short = isPod && name.length > nameLength ? `…${name.slice(1 - nameLength)}` : name;
  const label = { class: isPod ? "name" : "title", x: left - 10, y: 12, "text-anchor": "end" };
  return shape("g", {}, shape("text", label, short, tip(name)), marks);
}

const tip = (text) => shape("title", {}, text);
const told = (entry) => `${clock(entry.at, true)} ${entry.title} ${entry.subject} ${entry.detail}`;

function bar(kind, from, until, text, y = 0, height = 15) {
  const width = Math.max(4, until - from);
  return shape("rect", { class: kind, x: from, y, width, height, rx: Math.min(3, height / 2) }, tip(text));
}

function mark(entry, x) {
  const level = entry.kind === "rollout" ? "rollout" : entry.level;
  return shape("circle", { class: `mark ${level}`, cx: x(Date.parse(entry.at)), cy: 7.5, r: 5.5 }, tip(told(entry)));
}

// What is diagnosed now is a bar until now; of an earlier diagnosis only the beginning is known.
function diagnosis(entry, app, x, end) {
  const current = app.status.healing?.diagnoses ?? [];
  const isNow = current.some(({ type, since }) => type === entry.title && since === entry.at);
  return isNow ? bar("failed", x(Date.parse(entry.at)), x(end), told(entry)) : mark(entry, x);
}

function action(entry, x, end) {
  const from = Date.parse(entry.at);
  const until = entry.until ? Date.parse(entry.until) : entry.level === "busy" ? end : from;
  return bar(entry.level, x(from), Math.max(x(until), x(from) + 8), told(entry));
}

// A pod: a thin line since it was made, and at its end how it is now. How it was before is not known.
function life(pod, x, end) {
  if (!pod.created) return null;
  const text = `${pod.name}: ${pod.reason || (pod.ready ? "Ready" : pod.phase)}`;
  const from = x(Date.parse(pod.created));
  return shape("g", {}, bar("life", from, x(end), text, 5.5, 4), bar(pod.level, Math.max(from, x(end) - 14), x(end), text));
}

function restart(entry, x) {
  return shape("path", { class: "restart", d: `M${x(Date.parse(entry.at))} 1l6.5 13h-13Z` }, tip(told(entry)));
}

export function legend() {
  const boxes = ["ok", "busy", "warning", "failed"].map((level) => make("span", "", make("i", level), words.legend[level]));
  const triangle = shape("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, shape("path", { class: "restart", d: "M6 1 11 11H1Z" }));
  const circle = shape("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, shape("circle", { class: "mark rollout", cx: 6, cy: 6, r: 4.5 }));
  return make("p", "legend", boxes, make("span", "", triangle, words.legend.restart), make("span", "", circle, words.legend.mark));
}

export function entryLine(entry) {
  const times = entry.count > 1 ? fill(words.times, { count: entry.count }) : "";
  const what = make("span", "what", badge(entry.level, words.kinds[entry.kind]), make("strong", "", entry.title));
  const detail = make("span", "told", entry.subject && make("code", "", entry.subject), " ", entry.detail, times && make("span", "muted", ` ${times}`));
  return make("li", "", make("span", "when", make("time", "", clock(entry.at, true)), age(entry.at)), what, detail);
}
