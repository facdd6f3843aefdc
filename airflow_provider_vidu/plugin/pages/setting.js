// SPDX-License-Identifier: Apache-2.0
// Theme and language as Airflow's UI keeps them in this browser; the browser's own where it keeps none.

import { speak } from "./text.js";

const THEME = "theme"; // next-themes: light, dark or system
const LANGUAGE = "i18nextLng"; // i18next's language detector

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
}

// Calls `show` now and whenever the language changes; a theme is the style sheet's affair, and all else Airflow's own.
export function follow(show) {
  apply();
  show();
  addEventListener("storage", ({ key }) => {
    apply();
    if (key === LANGUAGE || key === null) show();
  });
}
