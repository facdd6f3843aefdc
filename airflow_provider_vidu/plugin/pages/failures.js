// SPDX-License-Identifier: Apache-2.0
// What failed, grouped by what the reader can do, and above it the paid videos that no task has stored.

import { filters, taskLink } from "./address.js";
import { get } from "./airflow.js";
import { element, message, quoted, sentence, table } from "./parts.js";
import { FAMILIES } from "./reasons.js";
import { distance, money, number, t, time } from "./text.js";
import { videoOfEntry } from "./videos.js";

export class Failures {
  async load() {
    return get("failures", filters());
  }

  words({ families, unstored_sums }) {
    const failed = families.reduce((total, { videos }) => total + videos, 0);
    return t("saidFailures", { failed: number(failed), left: number(unstored_sums.videos) });
  }

  show(answer) {
    const { families } = answer;
    const parts = [...families].sort((one, other) => other.videos - one.videos).map(family);
    return [...unstored(answer), ...(parts.length || !answer.whole ? parts : [message(t("noFailures"))])];
  }
}

function named(entry) {
  const words = quoted(videoOfEntry(entry).name);
  return taskLink(entry, words) ?? words;
}

function cost(cny) {
  return cny === null ? t("costUnknown") : t("cost", { money: money(cny) });
}

function unstored({ unstored: found, unstored_sums: sums }) {
  if (!found.length) return [];
  const title = element("h2", {}, t("unstored", { count: number(sums.videos), money: money(sums.cny) }));
  const rows = found.map((entry) => {
    const isDead = entry.dies_at * 1000 < Date.now();
    const words = isDead ? t("linkMaybeDead") : t("linkLives", { distance: distance(entry.dies_at) });
    const cells = [time(entry.at), named(entry), quoted(entry.dag), cost(entry.cost), words];
    return element("tr", { className: isDead ? "late" : "" }, ...cells.map((cell) => element("td", {}, cell)));
  });
  const heads = ["when", "name", "dag", "costTerm", "link"].map((key) => t(key));
  return [element("section", { className: "unstored" }, title, element("p", {}, t("howToRescue")), table(t("unstoredList"), heads, element("tbody", {}, ...rows)))];
}

function family({ family: key, videos, cny, dags, examples }) {
  const [name, advice] = FAMILIES[key].map((one) => t(one));
  const heading = element("div", { className: "heading" }, element("h2", { className: "name" }, name), element("span", { className: "badge failed" }, number(videos)), element("span", {}, cost(cny)));
  const counts = dags.flatMap(([dag, count], index) => [index ? " · " : "", quoted(dag), ` ${number(count)}`]);
  const items = examples.map((entry) => {
    const where = element("p", { className: "summary" }, named(entry), " · ", quoted(entry.dag), " · ", time(entry.at));
    return element("li", {}, where, entry.reason ? element("p", { className: "original", lang: "en" }, quoted(entry.reason)) : null);
  });
  return element("section", { className: "family" }, heading, element("p", { className: "advice" }, advice), element("p", { className: "dags" }, ...sentence("byDag", { dags: element("span", {}, ...counts) })), element("ul", { ariaLabel: t("newest") }, ...items));
}
