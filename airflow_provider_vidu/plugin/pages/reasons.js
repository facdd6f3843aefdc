// SPDX-License-Identifier: Apache-2.0
// The reason for a failure. Messages are English; a Chinese reader first sees what happened and what to do.

import { element, quoted } from "./parts.js";
import { english, knows, locale, t } from "./text.js";

// The names of the families, and what to do: the advice of protocol/errors.py.
export const FAMILIES = {
  moderation: ["familyModeration", "adviceModeration"],
  input: ["familyInput", "adviceInput"],
  capacity: ["familyCapacity", "adviceCapacity"],
  account: ["familyAccount", "adviceAccount"],
  unknown: ["familyUnknown", "adviceUnknown"],
  uncertain: ["outcome_uncertain", "adviceUncertain"],
  lost: ["stateGone", "adviceLost"],
};

// Parts of the provider's messages, and the texts for them. The first that fits counts, before the class of the error:
// an error has another meaning after the submit was paid, and a message may quote those of single videos.
const PARTS = [
  ["of the submit survives this try", "error_unrecorded"],
  ["of the submits survives this try", "error_unrecorded"],
  ["items have no video (", "error_batch"],
  ["paid videos could not be stored", "error_ViduDownloadError"],
  ...Object.values(FAMILIES).map(([, advice]) => [english(advice), advice]),
  ["An earlier try stored its video at", "error_elsewhere"],
  ["was not ready in time", "error_timeout"],
  ["when the wait ended", "error_timeout"],
  ["Resume the wait at no cost with ViduTaskSensor", "error_contact"],
  ["To submit and pay again, clear this task.", "adviceLost"],
];

// Outcomes whose message names no class, such as those of earlier releases.
const OF_OUTCOME = {
  refused: "error_ViduRefusedError",
  uncertain: "adviceUncertain",
  unsubmitted: "error_unsubmitted",
  timeout: "error_timeout",
  lost: "adviceLost",
  not_stored: "error_ViduDownloadError",
};

function keyOf({ reason, error, family, outcome }) {
  const found = PARTS.find(([part]) => reason.includes(part))?.[1] ?? FAMILIES[family]?.[1];
  return [found, `error_${error}`, OF_OUTCOME[outcome]].find(knows) ?? "error_other";
}

// `error` is the class of the error; `family` and `outcome` are those of a manifest or the ledger. Each may be unknown.
export function explained(failure) {
  const words = locale() === "en" ? [] : [element("p", { className: "advice" }, t(keyOf(failure)))];
  return [...words, element("p", { className: "original", lang: "en", tabIndex: 0 }, quoted(failure.reason))];
}
