// SPDX-License-Identifier: Apache-2.0
// Money by day, week or month, as stacked bars and as a table.

import { airflowLink, filters, keep, state } from "./address.js";
import { get } from "./airflow.js";
import { bars } from "./bars.js";
import { choice, element, message, quoted, table } from "./parts.js";
import { money, number, t, time } from "./text.js";
import { waits } from "./waits.js";
import { totals } from "./wall.js";

const MOST_SERIES = 7;
const MOST_PERIODS = 400;
// Which of the budgets is a line in the plot.
const PERIODS = { daily: "day", monthly: "month" };

export class Spend {
  // `reload` loads and shows the view again.
  constructor(reload) {
    this.reload = reload;
  }

  async load() {
    return get("spend", { ...filters(), by: state.by, of: state.of });
  }

  words({ sums }) {
    return t("saidSpend", { money: money(sums.cny), count: number(sums.videos) });
  }

  show(answer) {
    const { rows, sums } = answer;
    const periods = choice("by", t("period"), { day: t("day"), week: t("week"), month: t("month") }, state.by, (by) => this.#turn({ by }));
    const columns = choice("of", t("sumBy"), { dag: t("dag"), model: t("model"), connection: t("connection") }, state.of, (of) => this.#turn({ of }));
    const csv = airflowLink(`entries.csv?${new URLSearchParams(filters())}`, { download: "vidu-videos.csv" }, t("csv"));
    const above = element("div", { className: "above" }, totals(sums), periods, columns, csv);
    if (!rows.length) return [above, ...budgets(answer), answer.whole ? message(t("noneFound")) : ""];
    return [above, ...budgets(answer), shares(answer), plot(answer), sumsTable(answer), ...waits(answer)];
  }

  async #turn(values) {
    keep(values);
    await this.reload();
    const [name] = Object.keys(values);
    document.querySelector(`input[name=${name}]:checked`)?.focus();
  }
}

function budgets({ budgets: found }) {
  return found.map(({ period, limit, own, left, resets }) => {
    const words = { limit: money(limit), own: money(own), left: money(left ?? 0), time: time(resets) };
    const key = period === "daily" ? (left === null ? "dailyOwn" : "dailyLeft") : left === null ? "monthlyOwn" : "monthlyLeft";
    return element("p", { className: "budget" }, t(key, words));
  });
}

function shares({ outcomes, sums }) {
  const labels = { stored: t("stateStored"), reused: t("outcome_reused"), running: t("stateRunning"), failed: t("failed"), uncertain: t("outcome_uncertain"), gone: t("stateGone") };
  const parts = Object.entries(labels).filter(([outcome]) => outcomes[outcome]);
  const rows = parts.map(([outcome, label]) => {
    const { videos, cny } = outcomes[outcome];
    return [label, number(videos), `${number((100 * videos) / sums.videos)} %`, money(cny)];
  });
  const body = element("tbody", {}, ...rows.map(([head, ...cells]) => element("tr", {}, element("th", { scope: "row" }, head), ...cells.map((cell) => element("td", {}, cell)))));
  return table(t("byState"), [t("state"), t("totalFound"), t("share"), t("costTerm")], body);
}

// Every period up to the last, those without a submit included, but not more than the newest of them.
function everyPeriod(rows) {
  const names = [...new Set(rows.map(({ period }) => period))].sort();
  const found = [];
  for (let name = names.at(-1); name >= names[0] && found.length < MOST_PERIODS; name = before(name)) found.push(name);
  return found.reverse();
}

function before(name) {
  const date = new Date(`${name.length === 7 ? `${name}-01` : name}T00:00:00Z`);
  if (state.by === "month") date.setUTCMonth(date.getUTCMonth() - 1);
  else date.setUTCDate(date.getUTCDate() - (state.by === "week" ? 7 : 1));
  return date.toISOString().slice(0, name.length);
}

const sum = (values) => values.reduce((total, value) => total + value, 0);

function plot({ rows, budgets: found, zone }) {
  const totalOf = (name) => sum(rows.filter(({ of }) => of === name).map(({ cny }) => cny));
  const names = [...new Set(rows.map(({ of }) => of))].sort((one, other) => totalOf(other) - totalOf(one));
  const shown = names.length > MOST_SERIES + 1 ? names.slice(0, MOST_SERIES) : names;
  const periods = everyPeriod(rows);
  const amounts = new Map(periods.map((period) => [period, new Map()]));
  for (const { period, of, cny } of rows) {
    const series = shown.includes(of) ? of : null;
    const bar = amounts.get(period);
    bar?.set(series, (bar.get(series) ?? 0) + cny);
  }
  const series = shown.length < names.length ? [...shown, null] : shown;
  const labels = series.map((name) => (name === null ? t("others") : name || t("unnamed")));
  const limit = found.find(({ period }) => PERIODS[period] === state.by)?.limit ?? null;
  const values = periods.map((period) => series.map((name) => amounts.get(period).get(name) ?? 0));
  const legend = element("ul", { className: "legend" }, ...labels.map((label, index) => element("li", {}, element("span", { className: `swatch s${index}`, ariaHidden: "true" }), quoted(label))));
  return element("figure", {}, element("figcaption", {}, t("spentBy", { zone })), bars(periods, labels, values, limit), legend);
}

function sumsTable({ rows, zone }) {
  const cells = [...rows].reverse().map(({ period, of, videos, seconds, cny, unpriced }) => [quoted(of || t("unnamed")), number(videos), number(seconds), money(cny), unpriced ? number(unpriced) : ""].map((cell) => element("td", {}, cell)).toSpliced(0, 0, element("th", { scope: "row" }, period)));
  const body = element("tbody", {}, ...cells.map((found) => element("tr", {}, ...found)));
  return table(t("spentBy", { zone }), [t("period"), t(state.of), t("totalFound"), t("totalSeconds"), t("costTerm"), t("unpriced")], body);
}
