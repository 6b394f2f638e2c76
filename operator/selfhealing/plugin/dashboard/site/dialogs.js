// The questions before something is done, and the evidence.

import { button, byId, make } from "./dom.js";
import { RequestError, ask } from "./session.js";
import { fill, words } from "./words.js";

const dialog = byId("dialog");

function open(title, content, buttons) {
  const heading = make("h2", "", title);
  heading.id = "dialog-title";
  dialog.replaceChildren(heading, ...content, make("div", "buttons", buttons));
  if (!dialog.open) dialog.showModal();
}

const closer = (text) => button("quiet", text, "close", () => dialog.close());

// Whoever reads the reason of an error sees it in the dialog, which stays open.
export function problemOf(error) {
  if (!(error instanceof RequestError)) throw error;
  return error.status === 0 ? words.no_answer : error.status === 401 ? words.no_token : error.message;
}

// Ask whether an operation is meant; carry it out; say what has come of it.
export function confirmOperation(key, offered, done) {
  const texts = words.operations[offered.operation];
  const values = { name: key.name, subject: offered.subject };
  const result = make("p", "result");
  result.setAttribute("role", "status");
  const go = button("cure", fill(texts.button, values), "confirm", async () => {
    if (go.getAttribute("aria-disabled") === "true") return;
    go.setAttribute("aria-disabled", "true");
    result.textContent = words.doing;
    try {
      await ask("operations", {}, { ...key, operation: offered.operation, action: offered.actionId });
      result.textContent = texts.done;
      result.className = "result good";
      dialog.querySelector(".buttons").replaceChildren(closer(words.close));
      dialog.querySelector("button").focus();
    } catch (error) {
      result.textContent = fill(words.failed, { problem: problemOf(error) });
      result.className = "result bad";
      go.removeAttribute("aria-disabled");
    }
    done();
  });
  open(fill(texts.title, values), [make("p", "", texts.text), result], [closer(words.cancel), go]);
}

export async function showEvidence(key, action) {
  const title = fill(words.evidence_of, action);
  const text = make("pre", "", words.connecting);
  text.tabIndex = 0;
  text.setAttribute("aria-label", words.evidence);
  open(title, [make("p", "hint", words.evidence_hint), text], [closer(words.close)]);
  try {
    text.textContent = (await ask("evidence", { ...key, action: action.id })).text;
  } catch (error) {
    text.textContent = problemOf(error);
  }
}
