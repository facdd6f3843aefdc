// SPDX-License-Identifier: Apache-2.0
// The common part of both tabs: follow Airflow's settings, load, show, and keep polling.

import { element, message, say, trouble } from "./parts.js";
import { follow } from "./setting.js";
import { number, t } from "./text.js";
import { watch } from "./watch.js";

// `update` shows the result of `load` and returns null, or returns the key of a sentence to show instead. `rebuild`
// shows the same result again.
export function open(title, load, update, rebuild) {
  const main = document.getElementById("page");
  const warning = element("div", { className: "warning", role: "alert" });
  const notes = element("div", { className: "notes" });
  let missing = { late: 0, away: 0 };
  let words = () => t("loading");
  let warn = () => "";

  const show = () => {
    document.title = t(title);
    warning.textContent = warn();
    note();
    if (words) main.replaceChildren(message(words()));
    else rebuild();
  };

  const note = () => {
    const { late, away } = missing;
    const found = [away ? t("valuesAway", { count: number(away) }) : "", late ? t("valuesLate", { count: number(late) }) : ""];
    const texts = found.filter(Boolean);
    if (texts.join() !== notes.dataset.words) notes.replaceChildren(...texts.map((one) => message(one)));
    notes.dataset.words = texts.join();
  };

  const replace = (newWords) => {
    words = newWords;
    main.ariaBusy = false;
    show();
  };

  const shown = async (answer) => {
    missing = answer;
    note();
    const nothing = await update(answer);
    if (nothing) return replace(() => t(nothing));
    main.ariaBusy = false;
    words = null;
  };

  // The page keeps its content while Airflow does not answer. A warning above it says if polling has stopped.
  const fail = (error, isLast) => {
    if (words) {
      say(trouble(error));
      return replace(() => trouble(error));
    }
    if (!isLast) return;
    warn = () => trouble(error);
    warning.textContent = warn();
  };

  main.before(warning, notes);
  follow(show);
  watch(load, shown, fail);
}
