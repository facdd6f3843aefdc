// SPDX-License-Identifier: Apache-2.0
// Time since the submit, else since the start of the task. The page counts it, without any request.

import { element, quoted, sentence } from "./parts.js";
import { duration, number, t } from "./text.js";

// Outcomes of a batch's items that a wait does not change, in the words of the badges.
const REPORTED = { success: "batchStoredBefore", reused: "outcome_reused", failed: "outcome_failed", refused: "outcome_refused", uncertain: "outcome_uncertain", lost: "outcome_lost", not_stored: "outcome_not_stored", unsubmitted: "outcome_unsubmitted" };

function lastWord({ word, isSubmitted, isLeft }) {
  if (!isSubmitted) return t("notSubmitted");
  if (isLeft) return t("noTaskWaits");
  return word ? sentence("lastWord", { word: quoted(word) }) : t("submitted");
}

export function progress(found) {
  const { since, expected, isSubmitted, isLeft } = found;
  const part = element("div", { className: "progress" });
  const words = element("p", {}, lastWord(found));
  if (!isSubmitted || isLeft || since === null) {
    part.append(words);
    return part;
  }
  part.append(element("progress", { ariaLabel: t("waitingFor") }), words, element("p", { className: "elapsed" }));
  Object.assign(part.dataset, { since, expected: expected ?? "" });
  count(part);
  return part;
}

// What a batch has reported of its items. The trigger reports ends only now and then, so they are "at least".
export function batchProgress({ items, counts, waited }, isOver) {
  const submitted = counts.submitted ?? 0;
  const sentences = [t("batchSubmitted", { submitted: number(submitted), items: number(items) })];
  for (const [outcome, key] of Object.entries(REPORTED)) {
    if (counts[outcome]) sentences.push(t("batchCount", { words: t(key), count: number(counts[outcome]) }));
  }
  const words = element("p", {}, sentences.join(" "));
  if (isOver) return [words, element("p", {}, t("batchLastReport"))];
  if (!submitted) return [words];
  if (!waited) return [words, element("p", {}, t("batchNoneEnded"))];
  const { tasks, ended, made } = waited;
  const values = { ended: number(ended), tasks: number(tasks), made: number(made), left: number(ended - made) };
  const said = t(ended < tasks ? "batchEnded" : "batchAllEnded", values);
  const bar = element("progress", { max: tasks, value: Math.min(ended, tasks), ariaLabel: t("batchWaitingFor"), ariaValueText: said });
  return [element("div", { className: "progress" }, bar, words, element("p", {}, said))];
}

function count(part) {
  const elapsed = Math.max(0, Date.now() / 1000 - Number(part.dataset.since));
  const expected = Number(part.dataset.expected);
  const values = { elapsed: duration(elapsed), expected: duration(expected) };
  const words = t(expected ? "elapsedOf" : "elapsed", values);
  part.querySelector(".elapsed").textContent = words;
  if (!expected) return;
  const bar = part.querySelector("progress");
  bar.max = expected;
  bar.value = Math.min(elapsed, expected);
  bar.ariaValueText = words;
}

setInterval(() => document.querySelectorAll(".progress[data-since]").forEach(count), 1000);
