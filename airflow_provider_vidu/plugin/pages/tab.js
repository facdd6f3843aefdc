// SPDX-License-Identifier: Apache-2.0
// The common part of both tabs: follow Airflow's settings, load, show, and keep polling.

import { element, message, say, trouble } from "./parts.js";
import { follow } from "./setting.js";
import { t } from "./text.js";
import { watch } from "./watch.js";

// `update` shows the result of `load` and returns null, or returns the key of a sentence to show instead. `rebuild`
// shows the same result again.
export function open(title, load, update, rebuild) {
  const main = document.getElementById("page");
  const warning = element("div", { className: "warning", role: "alert" });
  let words = () => t("loading");
  let warn = () => "";

  const show = () => {
    document.title = t(title);
    warning.textContent = warn();
    if (words) main.replaceChildren(message(words()));
    else rebuild();
  };

  const replace = (newWords) => {
    words = newWords;
    main.ariaBusy = false;
    show();
  };

  const shown = async (answer) => {
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

  main.before(warning);
  follow(show);
  watch(load, shown, fail);
}
