// SPDX-License-Identifier: Apache-2.0
// The page "Vidu videos" in Airflow's navigation: all videos, what they cost, and what failed.

import { FILTERS, keep, state } from "./address.js";
import { Failures } from "./failures.js";
import { Filters } from "./filters.js";
import { choice, element, message, say, trouble } from "./parts.js";
import { follow } from "./setting.js";
import { Spend } from "./spend.js";
import { t } from "./text.js";
import { Wall } from "./wall.js";

const SECONDS_WHILE_READING = 2;

const main = document.getElementById("page");
const views = { videos: new Wall(), spend: new Spend(), failures: new Failures() };
const bar = new Filters(change);
const notes = element("div", { className: "notes" });
const content = element("div", { id: "content" });
let asked = 0;
let answer = null;

function notesOf({ source, whole, cut, away, media }) {
  const words = [
    away ? t("ledgerAway") : "",
    whole || away ? "" : t("readsOn"),
    source === "airflow" ? t("noLedger") : "",
    cut ? t("onlyNewest") : "",
    media || state.view !== "videos" ? "" : t("libraryMediaOff"),
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
    if (!found.whole) setTimeout(() => mine === asked && !document.hidden && load(), SECONDS_WHILE_READING * 1000);
  } catch (error) {
    if (mine !== asked) return;
    answer = null;
    const words = error.status === 403 ? t("noLibrary") : error.status === 503 ? t("wrongConfiguration") : error.status === 422 ? t("wrongFilter") : trouble(error);
    notes.replaceChildren(message(words));
    content.replaceChildren();
    say(words);
  } finally {
    if (mine === asked) main.ariaBusy = content.ariaBusy = false;
  }
}

function render() {
  bar.offer(answer.choices);
  notes.replaceChildren(...notesOf(answer));
  const view = views[state.view];
  // Videos that play go on while older entries are being read.
  if (!view.update?.(answer)) content.replaceChildren(...view.show(answer));
  say(view.words(answer));
}

function change(values) {
  keep(values);
  load();
}

// Builds all but the content, in the current language.
function build() {
  document.title = t("library");
  const title = element("h1", {}, t("library"));
  const labels = { videos: t("videos"), spend: t("spending"), failures: t("failures") };
  const tabs = choice("view", t("view"), labels, state.view, (view) => change({ view }));
  const again = element("button", { type: "button" }, t("refresh"));
  again.addEventListener("click", load);
  const clear = element("button", { type: "button" }, t("clearFilters"));
  clear.addEventListener("click", () => {
    change(Object.fromEntries(FILTERS.map((name) => [name, ""])));
    bar.build();
  });
  const header = element("header", { className: "top" }, title, tabs, element("div", { className: "buttons" }, clear, again));
  bar.build();
  main.replaceChildren(header, bar.root, notes, content);
}

follow(() => {
  build();
  if (answer) render();
});
keep({});
load();
