// SPDX-License-Identifier: Apache-2.0
// Theme, language and time zone as Airflow's UI stores them in this browser, else the browser's own.

import { liveIn, speak } from "./text.js";

const THEME = "theme"; // next-themes: light, dark or system
const LANGUAGE = "i18nextLng"; // i18next's language detector
const ZONE = "timezone"; // an IANA name, in JSON

function read(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null; // The browser denies this frame its storage.
  }
}

function apply() {
  const theme = read(THEME);
  document.documentElement.dataset.theme = ["light", "dark"].includes(theme) ? theme : "system";
  speak(read(LANGUAGE) || navigator.language);
  liveIn(read(ZONE));
}

// Calls `show` now and on every change of language or time zone. The style sheet handles the theme; other keys belong
// to Airflow.
export function follow(show) {
  apply();
  show();
  addEventListener("storage", ({ key }) => {
    apply();
    if ([LANGUAGE, ZONE, null].includes(key)) show();
  });
}
