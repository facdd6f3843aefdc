// SPDX-License-Identifier: Apache-2.0
// Two to four entries side by side, played together, with what differs between them marked.

import { chosen, choose, taskLink } from "./address.js";
import { get } from "./airflow.js";
import { badge } from "./card.js";
import { copyButton, element, message, plain, quoted, table } from "./parts.js";
import { players } from "./player.js";
import { money, number, t, time } from "./text.js";
import { videoOfEntry } from "./videos.js";

export const MOST = 4;
// The names of the API's fields for which the pages have words.
const NAMES = { prompt: "prompt", model: "model", vidu_type: "job", duration: "length", resolution: "resolution", seed: "seed" };

export class Compare {
  async load() {
    return get("chosen", chosen().slice(0, MOST).map((address) => ["entry", address]));
  }

  words({ entries }) {
    return t("saidCompare", { count: number(entries.length), differ: number(rowsOf(entries).filter(({ differs }) => differs).length) });
  }

  // `again` shows the view again, after the choice has changed.
  show({ entries, media, whole }, again) {
    if (entries.length < 2) return whole ? [message(t("chooseMore", { most: number(MOST) }))] : [];
    const columns = entries.map((entry) => ({ entry, video: videoOfEntry(entry) }));
    const body = element("tbody", {}, videosRow(columns, media), ...rowsOf(entries).map(row), actionsRow(columns, again));
    const heads = [t("field"), ...columns.map(({ video }) => element("span", {}, quoted(video.name), " ", badge(video)))];
    const shown = table(t("compareTable"), heads, body);
    shown.classList.add("compared");
    return [together(body), shown];
  }
}

// Buttons for all players at once.
function together(body) {
  const films = () => [...body.querySelectorAll("video")];
  const start = element("button", { type: "button" }, t("playTogether"));
  start.addEventListener("click", () => {
    for (const film of films()) film.currentTime = 0;
    // A video that cannot be played says so itself.
    for (const film of films()) film.play().catch(() => {});
  });
  const stop = element("button", { type: "button" }, t("pauseAll"));
  stop.addEventListener("click", () => films().forEach((film) => film.pause()));
  return element("p", { className: "above buttons" }, start, stop);
}

function videosRow(columns, media) {
  const cells = columns.map(({ video }) => element("td", {}, video.state === "success" && !video.isMany ? players(video, media)[0] : t(video.state)));
  return element("tr", {}, element("th", { scope: "row" }, t("video")), ...cells);
}

// One row for each field, with a text for each entry: null for a field that the request leaves out.
function rowsOf(entries) {
  const names = [...new Set(entries.flatMap(({ fields }) => Object.keys(fields)))];
  const rows = names.map((name) => [Object.hasOwn(NAMES, name) ? t(NAMES[name]) : quoted(name, "id"), entries.map(({ fields }) => (Object.hasOwn(fields, name) ? fields[name] : null))]);
  const of = (key, value) => rows.push([t(key), entries.map(value)]);
  of("costTerm", ({ cost }) => (cost === null ? t("costUnknown") : t("cost", { money: money(cost) })));
  of("connection", ({ connection }) => connection);
  of("dag", ({ dag }) => dag);
  of("run", ({ run }) => run);
  of("when", ({ at }) => time(at));
  return rows.map(([name, texts]) => ({ name, texts, differs: new Set(texts).size > 1 }));
}

function row({ name, texts, differs }) {
  const ends = differs ? sameEnds(texts) : null;
  const cells = texts.map((text) => element("td", {}, text === null ? t("asDefault") : differs ? marked(text, ends) : quoted(text)));
  const sign = differs ? [element("span", { className: "sign", ariaHidden: "true" }, "≠ "), element("span", { className: "unseen" }, t("differs"), " ")] : [];
  return element("tr", { className: differs ? "differs" : "" }, element("th", { scope: "row" }, ...sign, name), ...cells);
}

const wordsOf = (text) => text.match(/\s+|[\u3400-\u9fff]|[^\s\u3400-\u9fff]+/gu) ?? [];

// How many words all texts share at their begin and at their end.
function sameEnds(texts) {
  const all = texts.filter((text) => text !== null).map(wordsOf);
  const shortest = Math.min(...all.map(({ length }) => length));
  const same = (at) => all.every((words) => words.at(at) === all[0].at(at));
  let [first, last] = [0, 0];
  while (first < shortest && same(first)) first++;
  while (last < shortest - first && same(-1 - last)) last++;
  return [first, last];
}

function marked(text, [first, last]) {
  const words = wordsOf(text);
  const parts = [words.slice(0, first), words.slice(first, words.length - last), words.slice(words.length - last)].map((part) => plain(part.join("")));
  return element("bdi", { className: "quoted", dir: "auto" }, parts[0], parts[1] ? element("mark", {}, parts[1]) : null, parts[2]);
}

function actionsRow(columns, again) {
  const cells = columns.map(({ entry, video }) => {
    const name = plain(video.name);
    const python = entry.python ? copyButton(entry.python, t("copyPythonOf", { name }), t("copyPython")) : null;
    const remove = element("button", { type: "button", ariaLabel: t("unchoose", { name }) }, t("remove"));
    remove.addEventListener("click", () => {
      choose(entry.address, false);
      again();
    });
    return element("td", {}, element("p", { className: "buttons" }, python, remove, taskLink(entry, t("openTask"))));
  });
  return element("tr", {}, element("th", { scope: "row" }, t("actions")), ...cells);
}
