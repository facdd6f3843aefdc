// SPDX-License-Identifier: Apache-2.0
// Stacked bars, drawn with SVG. A table beneath says the same to users who do not see them.

import { plain } from "./parts.js";
import { money, t } from "./text.js";

const WIDTH = 960;
const HEIGHT = 240;
const LEFT = 64;
const BOTTOM = 24;
const TOP = 12;
const MOST_LABELS = 12;
// A line far above all bars would leave nothing of them.
const HIGHEST_LIMIT = 4;

export function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// The steps of an axis: at most five, each 1, 2 or 5 times a power of ten.
export function stepOf(highest) {
  const power = 10 ** Math.floor(Math.log10(highest / 5));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => highest / step <= 5);
}

export function bars(periods, labels, values, limit) {
  const sums = values.map((amounts) => amounts.reduce((total, amount) => total + amount, 0));
  const highestBar = Math.max(...sums, 0.01);
  const isLimitShown = limit !== null && limit > 0 && limit <= HIGHEST_LIMIT * highestBar;
  const step = stepOf(Math.max(highestBar, isLimitShown ? limit : 0));
  const top = Math.ceil(Math.max(highestBar, isLimitShown ? limit : 0) / step) * step;
  const y = (amount) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - amount / top);
  const width = (WIDTH - LEFT) / periods.length;
  const parts = [];
  for (let amount = 0; amount <= top + step / 2; amount += step) {
    parts.push(svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(amount), y2: y(amount) }));
    parts.push(svg("text", { x: LEFT - 8, y: y(amount) + 4, "text-anchor": "end" }, money(amount)));
  }
  const every = Math.ceil(periods.length / MOST_LABELS);
  periods.forEach((period, index) => {
    const x = LEFT + index * width;
    let below = 0;
    values[index].forEach((amount, series) => {
      if (!amount) return;
      const words = svg("title", {}, `${period} · ${plain(labels[series])} · ${money(amount)}`);
      const size = { x: x + width * 0.1, width: Math.min(width * 0.8, 80), y: y(below + amount), height: Math.max(0.5, y(below) - y(below + amount)) };
      parts.push(svg("rect", { class: `s${series}`, ...size }, words));
      below += amount;
    });
    if (index % every === 0) parts.push(svg("text", { x: x + width * 0.1, y: HEIGHT - 6 }, period.length > 7 ? period.slice(5) : period));
  });
  if (isLimitShown) {
    parts.push(svg("line", { class: "limit", x1: LEFT, x2: WIDTH, y1: y(limit), y2: y(limit) }));
    parts.push(svg("text", { class: "limit", x: WIDTH, y: y(limit) - 4, "text-anchor": "end" }, t("budgetLine", { money: money(limit) })));
  }
  return svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": t("plotOf") }, ...parts);
}
