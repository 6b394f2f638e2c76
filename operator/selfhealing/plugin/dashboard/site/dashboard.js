// The page: asks how the apps are, again and again, and shows the overview or one app.
// At most one request is under way; none while the page is not in view.

import { AppView } from "./app_view.js";
import { problemOf } from "./dialogs.js";
import { byId, make, noteTime, tick, write } from "./dom.js";
import { Overview } from "./overview.js";
import { ask } from "./session.js";
import { LANGUAGES, clock, code, fill, language, words } from "./words.js";

const POLL = 5000; // milliseconds between two looks
const SLOWEST = 60; // seconds between two looks while nothing can be read

let view = null;
let asking = false;
let again = false;
let failures = 0;
let timer = 0;

// Which app the address names; null for the overview.
function chosen() {
  const [, namespace, name] = location.hash.match(/^#\/([a-z0-9-]+)\/([a-z0-9-]+)$/) ?? [];
  return name ? { namespace, name } : null;
}

function route() {
  const key = chosen();
  view = key ? new AppView(byId("view"), look) : new Overview(byId("view"));
  document.title = `${key ? `${key.name} · ` : ""}${words.title}`;
  drawLanguages();
  look();
}

async function look() {
  if (asking) {
    again = true;
    return;
  }
  clearTimeout(timer);
  asking = true;
  const key = chosen();
  const target = view;
  try {
    const found = key ? await ask("app", { ...key, lang: code }) : await ask("apps");
    if (target === view) {
      const readAt = found.readAt ?? found.items?.[0]?.readAt;
      if (readAt) noteTime(readAt);
      showScope(found);
      view.update(found);
      failures = 0;
      say("good", "", fill(words.live, { time: clock(Date.now()) }));
    }
  } catch (error) {
    failures += 1;
    say("bad", problemOf(error));
    if (error.status === 401) failures = Infinity;
  } finally {
    asking = false;
    plan();
  }
}

function plan() {
  clearTimeout(timer);
  if (document.hidden) {
    say("wait", words.paused);
  } else if (again) {
    again = false;
    look();
  } else if (failures === 0) {
    timer = setTimeout(look, POLL);
  } else if (failures < Infinity) {
    const seconds = Math.min(SLOWEST, 5 * 2 ** (failures - 1));
    say("bad", fill(words.waiting, { problem: byId("said").textContent, seconds }));
    timer = setTimeout(look, seconds * 1000);
  }
}

function say(mood, text, live = "") {
  byId("connection").dataset.mood = mood;
  write(byId("said"), text);
  write(byId("live"), live);
  byId("live").hidden = !live;
  byId("retry").hidden = mood === "good";
}

function showScope({ context, namespace }) {
  const shown = fill(namespace ? words.scope : words.scope_all, { namespace });
  write(byId("scope"), ["", context, shown].filter((part, place) => part || place === 0).join(" · "));
}

function drawLanguages() {
  const links = Object.entries(LANGUAGES).map(([short, [tag, name]]) => {
    const link = make("a", "", name);
    link.href = `?lang=${short}${location.hash}`;
    link.lang = link.hreflang = tag;
    if (short === code) link.setAttribute("aria-current", "true");
    return link;
  });
  byId("languages").replaceChildren(...links);
}

document.documentElement.lang = language;
for (const node of document.querySelectorAll("[data-text]")) node.textContent = words[node.dataset.text];
byId("languages").setAttribute("aria-label", words.language);
byId("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the part of the address behind the # names the app
  byId("main").focus();
});
byId("retry").addEventListener("click", () => {
  failures = 0;
  look();
});
addEventListener("hashchange", () => {
  byId("main").focus();
  scrollTo(0, 0);
  route();
});
document.addEventListener("visibilitychange", () => (document.hidden ? plan() : look()));
setInterval(() => !document.hidden && tick(), 1000);
say("wait", words.connecting);
route();
