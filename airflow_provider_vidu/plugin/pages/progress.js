// SPDX-License-Identifier: Apache-2.0
// How long a video has been waited for, counted on in the page: nobody is asked for it.

import { element, sentence, told } from "./parts.js";
import { duration, t } from "./text.js";

function lastWord({ word, started, total, done, failed }) {
  if (total !== undefined) return t("batchProgress", { done, total, failed });
  if (!started) return t("notSubmitted");
  return word ? sentence("lastWord", { word: told(word) }) : t("submitted");
}

export function progress(found) {
  const { since, expected, started, total, done } = found;
  const part = element("div", { className: "progress" });
  if (total !== undefined) {
    part.append(element("progress", { max: total, value: done, ariaLabel: t("waitingFor") }));
  } else if (started) {
    part.append(element("progress", { ariaLabel: t("waitingFor") }));
  }
  part.append(element("p", { className: "word" }, lastWord(found)));
  if (started && since !== null) {
    part.append(element("p", { className: "elapsed" }));
    Object.assign(part.dataset, { since, expected: expected ?? "", counts: total !== undefined });
    count(part);
  }
  return part;
}

function count(part) {
  const elapsed = Math.max(0, Date.now() / 1000 - Number(part.dataset.since));
  const expected = Number(part.dataset.expected);
  const values = { elapsed: duration(elapsed), expected: duration(expected) };
  const words = t(expected ? "elapsedOf" : "elapsed", values);
  part.querySelector(".elapsed").textContent = words;
  if (!expected || part.dataset.counts === "true") return;
  const bar = part.querySelector("progress");
  bar.max = expected;
  bar.value = Math.min(elapsed, expected);
  bar.ariaValueText = words;
}

setInterval(() => document.querySelectorAll(".progress[data-since]").forEach(count), 1000);
