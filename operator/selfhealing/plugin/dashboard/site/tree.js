// The objects of an app as a tree: children, revisions, pods, containers.

import { age, badge, make, sign } from "./dom.js";
import { fill, words } from "./words.js";

const WORKLOADS = ["Deployment", "Job"];

export function buildTree({ children, revisions, otherPods }) {
  const used = revisions.filter((each) => each.current || each.wanted || each.pods.length || each.roles.length);
  const nodes = children.map((child) => {
    const below = child.owned && WORKLOADS.includes(child.kind) ? used.map(revisionNode) : [];
    return childNode(child, below);
  });
  if (otherPods.length) nodes.push(node(make("span", "warn", words.other_pods), otherPods.map(podNode)));
  return make("ul", "tree", nodes);
}

function node(line, below = []) {
  return make("li", "", make("div", "row", line), below.length > 0 && make("ul", "", below));
}

function childNode({ kind, name, state, level, owned }, below) {
  const line = [sign(level), make("strong", "", kind), make("code", "", name), make("span", "muted", state)];
  if (!owned) line.push(badge("warning", words.foreign));
  return node(line, below);
}

function revisionNode({ kind, name, number, images, wanted, ready, created, current, roles, pods }) {
  const line = [
    make("strong", "", number ? fill(words.revision, { number }) : kind),
    make("code", "", name),
    make("span", "", fill(words.ready_of, { ready, wanted })),
    current && kind !== "Job" && badge("neutral", words.current),
    roles.map((role) => badge(role === "failed" ? "failed" : "neutral", words.roles[role])),
    make("span", "muted", images.join(", ")),
    created && age(created),
  ];
  return node(line, pods.map(podNode));
}

function podNode({ name, node: host, phase, ready, created, restarts, reason, message, level, containers, lastRestart, isolated }) {
  const line = [
    sign(level),
    make("code", "", name),
    make("span", level === "ok" ? "good" : "", reason || (ready ? "Ready" : phase)),
    isolated && badge("warning", words.isolated),
    make("span", "muted", host),
    created && age(created),
    message && make("span", "message", message),
    restarts > 0 && restartText(restarts, lastRestart),
  ];
  const several = containers.length > 1 || containers.some((each) => each.isInit);
  return node(line, several ? containers.map(containerNode) : []);
}

function restartText(count, last) {
  const text = [make("span", "triangle"), fill(words.restart_count, { count })];
  if (last) {
    const code = last.exitCode === undefined ? "" : ` (${fill(words.exit_code, { code: last.exitCode })})`;
    text.push(" · ", fill(words.last_restart, last), code, " ", last.at && age(last.at));
  }
  return make("span", "warn restarts", text);
}

function containerNode({ name, image, state, reason, ready, restarts, isInit }) {
  return node([
    sign(ready || state === "terminated" ? "ok" : state === "running" ? "busy" : "warning"),
    make("span", "", fill(words.container, { name })),
    isInit && badge("neutral", words.init),
    make("span", "", reason || state),
    restarts > 0 && make("span", "warn", fill(words.restart_count, { count: restarts })),
    make("span", "muted", image),
  ]);
}
