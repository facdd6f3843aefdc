// SPDX-License-Identifier: Apache-2.0
// Time from submit to ready against the typical time, as a plot and as a table: when the service was slow.

import { stepOf, svg } from "./bars.js";
import { element, message, table } from "./parts.js";
import { duration, number, t, time } from "./text.js";

const WIDTH = 960;
const HEIGHT = 240;
const LEFT = 64;
const BOTTOM = 24;
const TOP = 12;
const LABEL = 150;
// From here on, a span counts as slow.
const SLOW = 1.5;

export function waits({ waits: { hours, rows, untimed } }) {
  const note = untimed ? message(t("untimed", { count: number(untimed) })) : "";
  if (!rows.length) return [note];
  const caption = element("figcaption", {}, t("waitsBy"));
  const legend = element("ul", { className: "legend" }, ...["median", "late", "slow", "typical"].map((kind) => element("li", {}, element("span", { className: `swatch wait-${kind}`, ariaHidden: "true" }), t(`wait_${kind}`, { times: timesOf(SLOW) }))));
  return [element("figure", {}, caption, plot(rows, hours), legend), waitsTable(rows), note];
}

const timesOf = (times) => `${number(times)}×`;

function plot(rows, hours) {
  const highest = Math.max(...rows.map(({ late }) => late), 1.2);
  const step = stepOf(highest);
  const top = Math.ceil(highest / step) * step;
  const y = (times) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - times / top);
  const span = hours * 3600;
  const [first, last] = [rows[0].at, rows.at(-1).at + span];
  const x = (at) => LEFT + 8 + ((WIDTH - LEFT - 16) * (at + span / 2 - first)) / (last - first);
  const parts = [];
  for (let times = 0; times <= top + step / 2; times += step) {
    parts.push(svg("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(times), y2: y(times) }));
    parts.push(svg("text", { x: LEFT - 8, y: y(times) + 4, "text-anchor": "end" }, timesOf(times)));
  }
  parts.push(svg("line", { class: "typical", x1: LEFT, x2: WIDTH, y1: y(1), y2: y(1) }));
  for (const { at, videos, seconds, times, late } of rows) {
    const words = svg("title", {}, t("waitTitle", { time: time(at), count: number(videos), median: duration(seconds), times: timesOf(times), late: timesOf(late) }));
    const kind = times >= SLOW ? "slow" : "median";
    parts.push(svg("line", { class: "wait-late", x1: x(at), x2: x(at), y1: y(times), y2: y(late) }));
    parts.push(svg("circle", { class: `wait-${kind}`, cx: x(at), cy: y(times), r: 4.5 }, words));
  }
  let free = 0;
  for (const { at } of rows) {
    const left = Math.min(x(at) - 4, WIDTH - LABEL);
    if (left < free) continue;
    parts.push(svg("text", { x: left, y: HEIGHT - 6 }, time(at)));
    free = left + LABEL;
  }
  return svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": t("plotOfWaits") }, ...parts);
}

function waitsTable(rows) {
  const lines = [...rows].reverse().map(({ at, videos, seconds, typical, times, late }) => {
    const cells = [number(videos), duration(seconds), duration(typical), timesOf(times), timesOf(late)].map((cell) => element("td", {}, cell));
    const slow = times >= SLOW ? ` ${t("slowSpan")}` : "";
    return element("tr", { className: slow ? "late" : "" }, element("th", { scope: "row" }, time(at) + slow), ...cells);
  });
  const heads = ["spanFrom", "totalVideos", "medianTime", "typicalTime", "wait_median", "wait_late"].map((key) => t(key));
  return table(t("waitsTable"), heads, element("tbody", {}, ...lines));
}
