// SPDX-License-Identifier: Apache-2.0
// What both tabs do: follow Airflow's settings, load, show, and load again while something is on its way.

import { element, message, say, trouble } from "./parts.js";
import { follow } from "./setting.js";
import { t } from "./text.js";
import { watch } from "./watch.js";

// `update` shows what `load` gave and returns null, or the key of a sentence to show instead; `rebuild` shows it anew.
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

  const tell = (what) => {
    words = what;
    main.ariaBusy = false;
    show();
  };

  const shown = async (answer) => {
    const nothing = await update(answer);
    if (nothing) return tell(() => t(nothing));
    main.ariaBusy = false;
    words = null;
  };

  // What is shown stays, however long Airflow does not answer. That it gets no newer any more is said above it.
  const fail = (error, isLast) => {
    if (words) {
      say(trouble(error));
      return tell(() => trouble(error));
    }
    if (!isLast) return;
    warn = () => trouble(error);
    warning.textContent = warn();
  };

  main.before(warning);
  follow(show);
  watch(load, shown, fail);
}
