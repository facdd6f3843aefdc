// SPDX-License-Identifier: Apache-2.0
// The elements of the pages. Every value from a task enters the page as text, never as markup.

import { t } from "./text.js";

const LONGEST_TEXT = 20_000;
// Control characters, and characters that change the writing direction of the text after them.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

export function plain(value) {
  return value.slice(0, LONGEST_TEXT).replace(UNSEEN, "\ufffd");
}

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== ""));
  return made;
}

// Text from a task, with its own writing direction.
export function quoted(value, className = "quoted") {
  return element("bdi", { className, dir: "auto" }, plain(value));
}

// A translated sentence with text from a task in it.
export function sentence(key, values) {
  const marks = Object.keys(values).map((name) => [name, `\u0001${name}\u0001`]);
  const parts = t(key, Object.fromEntries(marks)).split("\u0001");
  return parts.map((part, index) => (index % 2 ? values[part] : part));
}

// The address if it is on another origin and uses http or https, else null.
export function webAddress(value) {
  try {
    const url = new URL(value);
    const { href, protocol } = url;
    // Opening one of Airflow's own addresses may act at once: logout is a GET. Browsers upgrade http to https, so
    // compare the origin with this page's protocol.
    url.protocol = location.protocol;
    return ["http:", "https:"].includes(protocol) && url.origin !== location.origin ? href : null;
  } catch {
    return null;
  }
}

export function copyButton(value, label, words = t("copy")) {
  const button = element("button", { type: "button", className: "copy", ariaLabel: label }, words);
  button.addEventListener("click", async () => {
    await copy(value);
    button.textContent = t("copied");
    say(t("copied"));
    setTimeout(() => (button.textContent = words), 2000);
  });
  return button;
}

async function copy(value) {
  if (navigator.clipboard) return navigator.clipboard.writeText(value);
  // A page without TLS has no clipboard.
  const field = element("textarea", { value, className: "unseen" });
  document.body.append(field);
  field.select();
  document.execCommand("copy");
  field.remove();
}

// One of several values, as a row of radio buttons.
export function choice(name, label, labels, chosen, choose) {
  const choices = Object.entries(labels).map(([value, words]) => {
    const input = element("input", { type: "radio", name, value, checked: value === chosen });
    input.addEventListener("change", () => choose(value));
    return element("label", {}, input, element("span", {}, words));
  });
  return element("fieldset", { className: "filter" }, element("legend", { className: "unseen" }, label), ...choices);
}

// A table that scrolls by itself if it is too wide or too long.
export function table(label, heads, body) {
  const head = element("thead", {}, element("tr", {}, ...heads.map((words) => element("th", { scope: "col" }, words))));
  const made = element("table", {}, element("caption", { className: "unseen" }, label), head, body);
  return element("div", { className: "wide", tabIndex: 0, role: "region", ariaLabel: label }, made);
}

// Announces a text to screen readers.
export function say(words) {
  document.getElementById("said").textContent = words;
}

export function message(words, kind = "note") {
  return element("p", { className: `message ${kind}` }, words);
}

// The sentence for a failed request.
export function trouble(error) {
  if (error.status === 401) return t("signIn");
  return error.status === 403 ? t("forbidden") : t("unreachable");
}
