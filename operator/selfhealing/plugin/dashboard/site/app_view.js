// One app: how it is, what is wrong, what is done, its time line and its objects.

import { age, badge, button, fact, make, show, sign } from "./dom.js";
import { confirmOperation, showEvidence } from "./dialogs.js";
import { flagBadges, stateBadge } from "./overview.js";
import { drawTimeline, entryLine, fittingRange, inRange, legend, rangeNames } from "./timeline.js";
import { buildTree } from "./tree.js";
import { fill, words } from "./words.js";

const FIRST_ENTRIES = 25;
const OUTCOMES = {
  Succeeded: "ok", Completed: "ok", Failed: "failed", Refused: "failed", InProgress: "busy", Proposed: "warning",
};

export class AppView {
  constructor(place, refresh) {
    this.refresh = refresh;
    this.range = null;
    this.showAll = false;
    const part = (kind) => make("section", kind);
    const back = make("a", "back", `← ${words.back}`);
    back.href = "#/";
    this.parts = {
      head: part("card"), gaps: part("gaps"), explanation: part("card"), timeline: part("card"), actions: part("card"), tree: part("card"),
    };
    const { head, gaps, explanation, timeline, actions, tree } = this.parts;
    this.drawing = make("div", "drawing");
    this.ranges = make("div", "switch");
    this.ranges.setAttribute("role", "group");
    this.ranges.setAttribute("aria-label", words.range);
    this.hidden = make("p", "hint");
    this.entries = make("div", "entries");
    timeline.append(
      make("div", "line wrap", make("h2", "", words.timeline), this.ranges),
      make("p", "hint", words.timeline_hint), this.drawing, this.hidden, legend(), this.entries,
    );
    place.replaceChildren(back, head, gaps, make("div", "pair", explanation, actions), timeline, tree);
  }

  update(found) {
    this.found = found;
    const { app } = found;
    const { readAt, app: _, explanation: sections, ...summary } = found;
    show(this.parts.head, [summary, app.status, app.key], () => this.buildHead());
    show(this.parts.gaps, app.gaps, () => app.gaps.length === 0 ? [] : [
      make("h2", "", words.gaps), make("ul", "", app.gaps.map((gap) => make("li", "", gap))),
    ]);
    show(this.parts.explanation, sections, () => this.buildExplanation());
    const history = app.status.healing?.history ?? [];
    show(this.parts.actions, history, () => this.buildActions(history));
    this.drawTimeline();
    show(this.parts.tree, [app.children, app.revisions, app.otherPods], () => [make("h2", "", words.tree), buildTree(app)]);
  }

  buildHead() {
    const { app, operations, message } = this.found;
    const { status } = app;
    const name = make("h2", "host big-name", sign(app.level), make("span", "stem", `${app.key.namespace}/`), app.key.name);
    const facts = make("dl", "facts");
    if (status.ready) facts.append(fact(words.ready, status.ready));
    facts.append(fact(words.restarts, String(status.restarts?.total ?? 0)));
    if (status.healing) {
      facts.append(fact(words.mode, status.healing.mode), fact(words.budget, String(status.healing.budgetLeft)));
    }
    if (status.image) facts.append(fact(words.image, make("code", "", status.image)));
    if (status.healing?.stableImage) facts.append(fact(words.stable, make("code", "", status.healing.stableImage)));
    if (status.endpoint) facts.append(fact(words.endpoint, make("code", "", status.endpoint)));
    const buttons = operations.map((offered) => {
      const kind = offered.operation === "approve" ? "cure" : "plain";
      const text = fill(words.operations[offered.operation].button, offered);
      return button(kind, text, offered.operation, () => confirmOperation(app.key, offered, this.refresh));
    });
    return [
      make("div", "line wrap", name, stateBadge(this.found)),
      flagBadges(this.found),
      message && make("p", "message", message),
      facts,
      buttons.length > 0 && make("div", "operations", buttons),
    ];
  }

  buildExplanation() {
    const sections = this.found.explanation.map(({ heading, sentences }) =>
      make("div", "sentences", make("h3", "", heading), sentences.map((text) => make("p", "", text))));
    return [make("h2", "", words.explanation), ...sections];
  }

  buildActions(history) {
    const lines = history.map((action) => {
      const head = make("p", "line", make("strong", "", action.remediation), badge(OUTCOMES[action.outcome] ?? "neutral", action.outcome));
      const about = make("p", "hint", fill(words.for_diagnosis, action), action.target && make("code", "", ` ${action.target}`), " · ", age(action.at));
      const evidence = action.evidence && button("quiet", words.evidence, `evidence-${action.id}`, () => showEvidence(this.found.app.key, action));
      if (evidence) evidence.setAttribute("aria-label", fill(words.evidence_of, action));
      return make("li", "", head, about, action.message && make("p", "", action.message), evidence);
    });
    const list = make("ol", "history", lines);
    return [make("h2", "", words.actions), lines.length ? list : make("p", "muted", words.actions_none)];
  }

  drawTimeline() {
    const { app } = this.found;
    const range = this.range ?? fittingRange(app.timeline);
    show(this.ranges, [range], () => rangeNames.map((name) => {
      const choose = button("", words.ranges[name], name, () => {
        this.range = name;
        this.drawTimeline();
      });
      choose.setAttribute("aria-pressed", String(name === range));
      return choose;
    }));
    const { svg, hidden } = drawTimeline(app, range, this.drawing.clientWidth);
    this.drawing.replaceChildren(svg);
    show(this.hidden, [hidden], () => [hidden > 0 && fill(words.pods_hidden, { count: hidden })]);
    const entries = inRange(app.timeline, range);
    const shown = this.showAll ? entries : entries.slice(0, FIRST_ENTRIES);
    show(this.entries, shown.concat(entries.length), () => [
      shown.length ? make("ol", "log", shown.map(entryLine)) : make("p", "muted", words.timeline_none),
      shown.length < entries.length && button("quiet", fill(words.all_entries, { count: entries.length }), "all", () => {
        this.showAll = true;
        this.drawTimeline();
      }),
    ]);
  }
}
