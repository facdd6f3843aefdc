// SPDX-License-Identifier: Apache-2.0
// Time since the submit, else since the start of the task. The page counts it, without any request.

import { element, quoted, sentence } from "./parts.js";
import { duration, t } from "./text.js";

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
