// The page: asks a replica how it is, again and again, and shows who answered.
// All text comes from the server in the page's language; nothing here is ever parsed as HTML.

import { Plot } from "./plot.js";
import { Replicas } from "./replicas.js";

const POLL = 1000; // milliseconds between questions to a single replica
const QUICKEST = 400; // with many replicas, so that each is seen often
const SLOWEST = 10; // seconds between questions while nobody answers
const PATIENCE = 3000; // milliseconds for an answer
const LOG_LINES = 30;
const MIB = 1024 * 1024;
const SVG = "http://www.w3.org/2000/svg";

const byId = (id) => document.getElementById(id);
const words = JSON.parse(byId("words").textContent);
const language = document.documentElement.lang;
const replicas = new Replicas();
const plot = new Plot(byId("plot"), 3);
const cards = new Map();
let failures = 0;
let asking = false;
let timer = 0;

const clock = () => performance.now() / 1000;
const number = (value, digits = 0) =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  if (h) return fill(words.hours, { h, m });
  return m ? fill(words.minutes, { m, s }) : fill(words.seconds, { s });
}

function make(name, kind, text) {
  const node = document.createElement(name);
  if (kind) node.className = kind;
  if (text !== undefined) node.textContent = text;
  return node;
}

// Change text only where it differs, so that nothing is read out or selected anew.
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// ---- asking ---------------------------------------------------------------------------------

async function ask() {
  if (asking) return;
  asking = true;
  clearTimeout(timer);
  if (failures) say("bad", words.asking);
  try {
    const answer = await fetch("panel/state", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const entry = replicas.answered(await answer.json(), clock());
    failures = 0;
    say("good", "", entry);
    flash(entry);
  } catch {
    failures += 1;
    replicas.nobody();
  }
  asking = false;
  next();
  draw();
}

function next() {
  clearTimeout(timer);
  if (document.hidden) {
    say("wait", words.paused);
    return;
  }
  let wait = Math.max(QUICKEST, POLL / Math.max(1, awake().length));
  if (failures) {
    const seconds = Math.min(SLOWEST, 2 ** (failures - 1));
    say("bad", fill(words.nobody, { time: duration(seconds) }));
    wait = seconds * 1000;
  }
  timer = setTimeout(ask, wait);
}

function say(mood, text, entry) {
  byId("connection").dataset.mood = mood;
  write(byId("said"), text);
  byId("live").hidden = !entry;
  if (entry) write(byId("live"), fill(words.live, { host: entry.host }));
  byId("now").hidden = mood === "good";
}

const awake = () => replicas.list(clock()).filter((entry) => !replicas.silent(entry, clock()));

// ---- showing --------------------------------------------------------------------------------

function draw() {
  const now = clock();
  const list = replicas.list(now);
  const total = replicas.total(now);
  const most = Math.max(...total);
  plot.draw(total);
  write(byId("total"), number(total.at(-1)));
  write(byId("peak"), fill(words.peak, { most: number(most) }));
  byId("plot").setAttribute("aria-label", fill(words.plot, { now: number(total.at(-1)), most: number(most) }));
  const silent = list.filter((entry) => replicas.silent(entry, now)).length;
  const counts = silent ? words.counts_silent : list.length === 1 ? words.counts_one : words.counts;
  write(byId("counts"), list.length ? fill(counts, { seen: list.length, silent }) : "");
  byId("none").hidden = list.length > 0;
  drawStrip();
  for (const [host, card] of cards) {
    if (!replicas.byHost.has(host)) {
      card.node.remove();
      cards.delete(host);
    }
  }
  for (const entry of list) drawCard(entry, now);
}

function drawStrip() {
  const strip = byId("strip");
  while (strip.children.length < replicas.answers.length) strip.append(make("span"));
  const counted = new Map();
  replicas.answers.forEach((host, place) => {
    const colour = replicas.byHost.get(host)?.colour ?? "x";
    const square = strip.children[place];
    square.className = host ? `c${colour}` : "nobody";
    square.title = host ?? words.strip_none.replace(/\s*\{count\}.*/, "");
    counted.set(host, (counted.get(host) ?? 0) + 1);
  });
  const who = [...counted].map(([host, count]) =>
    fill(host ? words.strip_part : words.strip_none, { host, count }),
  );
  const text = fill(words.strip, { count: replicas.answers.length, who: who.join(", ") });
  strip.setAttribute("aria-label", text);
}

function newCard(entry) {
  const node = make("li", `card replica c${entry.colour}`);
  const head = make("div", "line");
  const name = make("h3", "host");
  const dash = entry.host.lastIndexOf("-") + 1;
  name.append(make("span", "dot"), make("span", "stem", entry.host.slice(0, dash)), make("strong", "", entry.host.slice(dash)));
  const seen = make("span", "seen muted");
  head.append(name, seen);
  const badges = make("p", "badges");
  const facts = make("dl", "facts");
  const fact = (label) => {
    const box = make("div");
    const value = make("dd");
    box.append(make("dt", "", label), value);
    facts.append(box);
    return value;
  };
  const uptime = fact(words.uptime);
  const cores = fact(words.cpu);
  const rate = fact(words.rate);
  const memory = fact(words.memory);
  memory.parentElement.className = "memory";
  const used = make("span");
  const bar = make("span", "bar");
  const level = make("span", "level");
  bar.append(level);
  memory.append(used, bar);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "plot spark");
  svg.setAttribute("viewBox", "0 0 300 36");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  const note = make("div", "note");
  node.append(head, badges, facts, svg, note);
  byId("replicas").append(node);
  const card = { node, seen, badges, uptime, cores, rate, used, bar, level, note, spark: new Plot(svg, 0) };
  cards.set(entry.host, card);
  return card;
}

function drawCard(entry, now) {
  const card = cards.get(entry.host) ?? newCard(entry);
  const { state } = entry;
  const silent = replicas.silent(entry, now);
  const ago = now - entry.at;
  card.node.classList.toggle("silent", silent);
  write(card.seen, ago < 2 ? words.seen_now : fill(words.seen_ago, { time: duration(ago) }));
  drawBadges(card.badges, entry, now);
  write(card.uptime, duration(state.uptime_seconds + (silent ? 0 : ago)));
  write(card.cores, entry.cores == null ? "–" : fill(words.cpu_cores, { cores: number(entry.cores, 2) }));
  write(card.rate, fill(words.rate_now, { rate: number(state.requests.at(-1) ?? 0) }));
  const values = { used: number(state.memory_bytes / MIB), limit: number((state.memory_limit_bytes ?? 0) / MIB) };
  write(card.used, fill(state.memory_limit_bytes ? words.memory_of : words.memory_free, values));
  card.bar.hidden = !state.memory_limit_bytes;
  const share = state.memory_limit_bytes ? Math.min(1, state.memory_bytes / state.memory_limit_bytes) : 0;
  card.level.style.width = `${(share * 100).toFixed(1)}%`;
  card.level.classList.toggle("high", share > 0.85);
  card.spark.draw(state.requests);
  drawNote(card.note, entry, silent);
}

function drawBadges(row, entry, now) {
  const { state } = entry;
  const wanted = [
    state.healthy ? ["good", words.healthy] : ["bad", words.unhealthy],
    state.ready ? ["good", words.ready] : ["warn", words.not_ready],
  ];
  if (state.cpu_load) wanted.push(["busy", words.loaded]);
  if (state.leaking) wanted.push(["warn", fill(words.leaking, { mib: number(state.leak_bytes / MIB) })]);
  if (now - entry.restartedAt < 20) wanted.push(["busy", words.restarted]);
  if (entry.restarts) wanted.push(["plain", fill(words.restarts_seen, { count: entry.restarts })]);
  const key = JSON.stringify(wanted);
  if (row.dataset.key === key) return;
  row.dataset.key = key;
  row.replaceChildren(...wanted.map(([mood, text]) => make("span", `badge ${mood}`, text)));
}

function drawNote(note, entry, silent) {
  const kind = !silent ? "" : !entry.state.ready ? "not-ready" : !entry.state.healthy ? "unhealthy" : "";
  if (note.dataset.kind === kind) return;
  note.dataset.kind = kind;
  note.replaceChildren();
  if (kind === "unhealthy") note.append(make("p", "", words.silent_unhealthy));
  if (kind === "not-ready") {
    const command = `kubectl exec ${entry.host} -- python -m app.check http://127.0.0.1:5000/ready-again`;
    note.append(make("p", "", words.silent_not_ready), make("code", "", command));
  }
}

function flash(entry) {
  for (const [host, card] of cards) card.node.classList.toggle("just", host === entry.host);
}

// ---- acting ---------------------------------------------------------------------------------

async function act(button) {
  if (button.getAttribute("aria-disabled") === "true") return;
  const query = readField(button);
  if (query === null) return;
  const { path } = button.dataset;
  button.setAttribute("aria-disabled", "true");
  const line = begin(button.textContent);
  try {
    const answer = await fetch(path + query, { method: "POST", signal: AbortSignal.timeout(PATIENCE) });
    const host = answer.headers.get("X-Served-By");
    if (!host) throw new Error(`status ${answer.status}, and from no replica`);
    const { message, error, ...flags } = await answer.json();
    replicas.remember(host);
    if (answer.ok) replicas.told(host, flags);
    const text = words.said[message] ?? message ?? error;
    line.end(answer.ok ? "good" : "bad", fill(answer.ok ? words.did : words.refused, { host }), text, host);
  } catch {
    replicas.nobody();
    line.end(path === "crash" ? "warn" : "bad", "", path === "crash" ? words.crashed : words.nobody_did);
  }
  button.removeAttribute("aria-disabled");
  failures = 0;
  ask();
}

// The query that the group's field asks for; null where it holds nothing usable.
function readField(button) {
  const group = button.closest(".group");
  const field = group.querySelector("input");
  if (!field || button.classList.contains("cure")) return "";
  const { low, high } = field.dataset;
  const good = /^\d{1,4}$/.test(field.value) && +field.value >= +low && +field.value <= +high;
  field.setAttribute("aria-invalid", String(!good));
  group.querySelector(".wrong")?.remove();
  if (good) return `?${field.name}=${+field.value}`;
  const wrong = make("p", "wrong", fill(words.bad_field, { low, high }));
  wrong.id = `wrong-${field.name}`;
  wrong.setAttribute("role", "alert");
  field.setAttribute("aria-describedby", wrong.id);
  field.closest("label").after(wrong);
  field.focus();
  return null;
}

function begin(action) {
  byId("log-empty").hidden = true;
  const node = make("li");
  const time = make("time", "muted", new Date().toLocaleTimeString(language, { hour12: false }));
  const what = make("strong", "", action);
  const who = make("span", "who");
  const text = make("span", "told muted", fill(words.asked, { action }));
  node.append(time, what, who, text);
  byId("log").prepend(node);
  while (byId("log").children.length > LOG_LINES) byId("log").lastChild.remove();
  return {
    end(mood, name, told, host) {
      node.className = mood;
      const colour = replicas.byHost.get(host)?.colour;
      if (name) who.append(make("span", `dot c${colour ?? "x"}`), name);
      text.textContent = told;
      text.className = "told";
    },
  };
}

// ---- beginning ------------------------------------------------------------------------------

for (const button of document.querySelectorAll("button[data-path]")) {
  button.addEventListener("click", () => act(button));
}
byId("now").addEventListener("click", ask);
document.addEventListener("visibilitychange", () => (document.hidden ? next() : ask()));
setInterval(() => !document.hidden && draw(), 1000);
ask();
