// All apps at a glance: those that need a person first.

import { badge, make, show, sign } from "./dom.js";
import { fill, words } from "./words.js";

const LEVELS = ["failed", "warning", "busy", "neutral", "ok"];

const flagText = ({ name, word }) => fill(words.flags[name], { word });

// The badges of an app, without what the badge of its state says already.
export function flagBadges({ flags, phase, reason }) {
  const said = [phase.toLowerCase(), reason];
  const told = flags.filter(({ name, word }) => !said.includes(name) && !(name === "diagnosis" && said.includes(word)));
  return told.length > 0 && make("p", "badges", told.map((flag) => badge(flag.level, flagText(flag))));
}

export const address = ({ namespace, name }) => `#/${namespace}/${name}`;

export class Overview {
  constructor(place) {
    this.counts = make("p", "badges");
    this.field = make("input");
    this.field.type = "search";
    this.field.placeholder = words.filter_hint;
    this.field.autocomplete = "off";
    this.field.addEventListener("input", () => this.draw());
    this.list = make("ul", "apps");
    this.note = make("p", "hint");
    const search = make("label", "search", make("span", "", words.filter), this.field);
    const head = make("div", "line wrap", make("h2", "", words.overview), this.counts, search);
    place.replaceChildren(make("section", "", head, this.note, this.list));
  }

  update(found) {
    this.found = found;
    this.draw();
  }

  draw() {
    if (!this.found) return;
    const { items, total, gaps } = this.found;
    const counts = LEVELS.map((level) => [level, items.filter((app) => app.level === level).length]);
    show(this.counts, counts, () =>
      counts.filter(([, count]) => count).map(([level, count]) => badge(level, fill(words.counts[level], { count }))),
    );
    const wanted = this.field.value.trim().toLowerCase();
    const shown = items.filter((app) => searched(app).includes(wanted));
    const more = total > items.length ? [fill(words.more, { shown: items.length, total })] : [];
    const none = shown.length ? [] : [items.length ? words.none_found : words.none];
    show(this.note, [more, none, gaps], () => [[...more, ...none, ...gaps].join(" ")]);
    show(this.list, shown.map(({ readAt, ...app }) => app), () => shown.map(card));
  }
}

const searched = ({ key, phase, reason, image, flags }) =>
  [key.namespace, key.name, phase, reason, image, ...flags.map(flagText)].join(" ").toLowerCase();

function card(app) {
  const link = make("a", "", make("span", "stem", `${app.key.namespace}/`), make("strong", "", app.key.name));
  link.href = address(app.key);
  link.dataset.key = `${app.key.namespace}/${app.key.name}`;
  const head = make("div", "line", make("h3", "host", sign(app.level), link), stateBadge(app));
  const numbers = make("p", "numbers muted");
  if (app.ready) numbers.append(make("span", "", `${words.ready} `, make("strong", "", app.ready)));
  numbers.append(make("span", "", `${words.restarts} `, make("strong", "", String(app.restarts))));
  return make("li", `card app ${app.level}`, head, numbers, flagBadges(app), app.message && make("p", "message", app.message));
}

export function stateBadge({ level, phase, reason }) {
  const isTold = !reason || reason === "AllPodsReady" || reason === phase;
  return badge(level, isTold ? phase : `${phase}: ${reason}`);
}
