// SPDX-License-Identifier: Apache-2.0
// The page "Vidu videos" in Airflow's navigation: all videos, what they cost, and what failed.

import { FILTERS, keep, state } from "./address.js";
import { Compare } from "./compare.js";
import { Failures } from "./failures.js";
import { Filters } from "./filters.js";
import { choice, element, message, say, trouble } from "./parts.js";
import { follow } from "./setting.js";
import { Spend } from "./spend.js";
import { t } from "./text.js";
import { Wall } from "./wall.js";
import { untilSeen } from "./watch.js";

const SECONDS_WHILE_READING = 2;
const SECONDS_AFTER_FAULT = 5;
// A route of the library answers 404 only to a NUL in a filter.
const REFUSALS = { 403: "noLibrary", 404: "wrongFilter", 422: "wrongFilter", 424: "ledgerUnread", 503: "wrongConfiguration" };

const main = document.getElementById("page");
const views = { videos: new Wall(), spend: new Spend(change), failures: new Failures(), compare: new Compare() };
const bar = new Filters(change);
const notes = element("div", { className: "notes" });
const content = element("div", { id: "content" });
let asked = 0;
let answer = null;

function notesOf({ source, elsewhere, whole, cut, away, media }) {
  const words = [
    away ? t("ledgerAway") : "",
    whole || away ? "" : t("readsOn"),
    source === "airflow" ? t("noLedger") : "",
    elsewhere ? t("xcomsElsewhere") : "",
    cut ? t("onlyNewest") : "",
    state.request && state.view !== "compare" ? t("takesOnly") : "",
    media || !["videos", "compare"].includes(state.view) ? "" : t("libraryMediaOff"),
  ];
  return words.filter(Boolean).map((one) => message(one));
}

async function load() {
  const mine = ++asked;
  const view = views[state.view];
  content.ariaBusy = true;
  try {
    const found = await view.load();
    if (mine !== asked) return;
    answer = found;
    render();
    if (!found.whole) loadAgain(SECONDS_WHILE_READING);
  } catch (error) {
    if (mine !== asked) return;
    answer = null;
    const refusal = REFUSALS[error.status];
    const words = refusal ? t(refusal) : trouble(error);
    if (!refusal && error.status !== 401) loadAgain(SECONDS_AFTER_FAULT);
    notes.replaceChildren(message(words));
    content.replaceChildren();
    say(words);
  } finally {
    if (mine === asked) main.ariaBusy = content.ariaBusy = false;
  }
}

// Loads again after some seconds, once the page is seen, unless the user has caused another request.
async function loadAgain(seconds) {
  const mine = asked;
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  await untilSeen();
  if (mine === asked) load();
}

function render() {
  bar.offer(answer.choices);
  notes.replaceChildren(...notesOf(answer));
  const view = views[state.view];
  // Videos that play go on while older entries are being read.
  if (!view.update?.(answer)) content.replaceChildren(...view.show(answer, again));
  say(view.words(answer));
}

// After the choice of entries has changed.
function again() {
  change({ view: "compare" });
  build();
  document.querySelector("input[name=view]:checked").focus();
}

function change(values) {
  keep(values);
  return load();
}

// Builds all but the content, in the current language.
function build() {
  document.title = t("library");
  const title = element("h1", {}, t("library"));
  const labels = { videos: t("videos"), spend: t("spending"), failures: t("failures"), compare: t("compare") };
  const tabs = choice("view", t("view"), labels, state.view, (view) => {
    change({ view });
    bar.root.hidden = view === "compare";
  });
  const fresh = element("button", { type: "button" }, t("refresh"));
  fresh.addEventListener("click", load);
  const clear = element("button", { type: "button" }, t("clearFilters"));
  clear.addEventListener("click", () => {
    change(Object.fromEntries(FILTERS.map((name) => [name, ""])));
    bar.build();
  });
  const header = element("header", { className: "top" }, title, tabs, element("div", { className: "buttons" }, clear, fresh));
  bar.build();
  bar.root.hidden = state.view === "compare";
  main.replaceChildren(header, bar.root, notes, content);
}

follow(() => {
  build();
  if (answer) render();
});
keep({});
load();
