// SPDX-License-Identifier: Apache-2.0
// Theme, language and time zone as Airflow's UI keeps them in this browser; the browser's own where it keeps none.

import { liveIn, speak } from "./text.js";

const THEME = "theme"; // next-themes: light, dark or system
const LANGUAGE = "i18nextLng"; // i18next's language detector
const ZONE = "timezone"; // a name of the IANA's, in JSON

function read(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // The browser lets this frame store nothing.
  }
}

function apply() {
  const theme = read(THEME);
  document.documentElement.dataset.theme = ["light", "dark"].includes(theme) ? theme : "system";
  speak(read(LANGUAGE) || navigator.language);
  liveIn(read(ZONE));
}

// Calls `show` now and whenever language or time zone change; a theme is the style sheet's affair, and all else Airflow's own.
export function follow(show) {
  apply();
  show();
  addEventListener("storage", ({ key }) => {
    apply();
    if ([LANGUAGE, ZONE, null].includes(key)) show();
  });
}
