// SPDX-License-Identifier: Apache-2.0
// All videos, the newest first: a wall of players that load when they come into view, or a list.

import { airflowLink, choose, chosen, filters, keep, state, taskLink } from "./address.js";
import { get } from "./airflow.js";
import { badge, card } from "./card.js";
import { MOST } from "./compare.js";
import { choice, copyButton, element, message, plain, quoted, say, sentence, table } from "./parts.js";
import { locale, money, number, t, time } from "./text.js";
import { videoOfEntry } from "./videos.js";

export class Wall {
  constructor() {
    this.seen = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => target.card.see(isIntersecting)));
    this.cards = new Map();
  }

  async load() {
    return get("entries", filters());
  }

  words({ sums }) {
    return t("found", { count: number(sums.videos) });
  }

  // Shows new sums alone, if there are no other entries on the first page.
  update(answer) {
    if (!this.list?.isConnected || this.looks !== looksOf(answer)) return false;
    this.sums.replaceWith((this.sums = totals(answer.sums)));
    if (this.shown.size === answer.entries.length) this.#turnTo(answer.next);
    return true;
  }

  show(answer, again) {
    const { entries, media } = answer;
    this.chooser = new Chooser(again);
    this.looks = looksOf(answer);
    this.sums = totals(answer.sums);
    this.list = state.layout === "list" ? element("tbody") : element("ul", { className: "cards", ariaLabel: t("videos") });
    this.shown = new Set();
    this.more = element("button", { type: "button", className: "more" }, t("more"));
    this.more.addEventListener("click", () => this.#showMore(media));
    this.lack = element("div");
    this.#add(entries, media);
    this.#turnTo(answer.next);
    const layouts = choice("layout", t("layout"), { wall: t("wall"), list: t("list") }, state.layout, (layout) => {
      keep({ layout });
      document.getElementById("content").replaceChildren(...this.show(answer, again));
      document.querySelector("input[name=layout]:checked").focus();
    });
    const csv = airflowLink(`entries.csv?${new URLSearchParams(filters())}`, { download: "vidu-videos.csv" }, t("csv"));
    const heads = ["compare", "when", "state", "name", "prompt", "dag", "model", "length", "costTerm"];
    return [
      element("div", { className: "above" }, this.sums, layouts, csv),
      entries.length || !answer.whole ? "" : message(t("noneFound")),
      state.layout === "list" ? table(t("videos"), heads.map((key) => t(key)), this.list) : this.list,
      this.lack,
      this.more,
      this.chooser.root,
    ].filter(Boolean);
  }

  async #showMore(media) {
    this.more.disabled = true;
    this.lack.replaceChildren();
    try {
      const { entries, next } = await get("entries", { ...filters(), offset: this.next });
      this.#add(entries, media);
      this.#turnTo(next);
      say(t("shown", { count: number(this.list.children.length) }));
    } catch {
      this.lack.replaceChildren(message(t("notLoaded")));
      say(t("notLoaded"));
    }
    this.more.disabled = false;
  }

  #turnTo(next) {
    this.next = next;
    this.more.hidden = next === null;
  }

  // New entries move the others, so that a page may hold some of the one before.
  #add(entries, media) {
    const fresh = entries.filter(({ address }) => !this.shown.has(address));
    fresh.forEach(({ address }) => this.shown.add(address));
    this.list.append(...fresh.map((entry) => (state.layout === "list" ? row(entry, this.chooser) : this.#card(entry, media))));
  }

  #card(entry, media) {
    const video = videoOfEntry(entry);
    const made = card(video, media);
    made.append(foot(entry, video, this.chooser));
    made.screen.card = made;
    made.see = (isSeen) => {
      if (isSeen && !made.screen.firstChild) made.fill();
      const films = [...made.screen.querySelectorAll("video")];
      if (!isSeen && films.every((film) => film.paused && film.currentTime === 0)) made.screen.replaceChildren();
    };
    this.seen.observe(made.screen);
    return made;
  }
}

function looksOf({ entries, media }) {
  return JSON.stringify([entries, media, filters(), state.layout, locale()]);
}

export function totals({ videos, seconds, cny, unpriced }) {
  const rows = [
    ["totalFound", number(videos)],
    ["totalSeconds", number(seconds)],
    ["totalCost", t("cost", { money: money(cny) })],
  ];
  const note = unpriced ? element("dd", { className: "small" }, t("withoutPrice", { count: number(unpriced) })) : null;
  return element("dl", { className: "totals", ariaLabel: t("totals") }, ...rows.map(([key, value]) => element("div", {}, element("dt", {}, t(key)), element("dd", {}, value), key === "totalCost" ? note : null)));
}

// The choice of entries to compare, and a bar at the lower edge of the window that leads to them.
class Chooser {
  constructor(again) {
    this.boxes = new Map();
    this.words = element("span");
    this.go = element("button", { type: "button" }, t("compare"));
    this.go.addEventListener("click", again);
    const none = element("button", { type: "button" }, t("clearChoice"));
    none.addEventListener("click", () => {
      keep({ chosen: "" });
      this.#update();
    });
    this.root = element("div", { className: "chooser" }, this.words, element("span", { className: "buttons" }, this.go, none));
    this.#update();
  }

  box({ address }, name) {
    const input = element("input", { type: "checkbox", ariaLabel: t("compareOf", { name: plain(name) }), checked: chosen().includes(address) });
    input.addEventListener("change", () => {
      choose(address, input.checked);
      this.#update();
      say(this.words.textContent);
    });
    this.boxes.set(address, input);
    this.#update();
    return input;
  }

  #update() {
    const found = chosen();
    for (const [address, input] of this.boxes) {
      input.checked = found.includes(address);
      input.disabled = !input.checked && found.length >= MOST;
    }
    this.words.textContent = t("chosen", { count: number(found.length), most: number(MOST) });
    this.go.disabled = found.length < 2;
    this.root.hidden = !found.length;
  }
}

// All takes of an entry's request, if it has several.
function takes({ same, takes: count }) {
  if (count < 2) return null;
  return airflowLink(`../plugin/vidu_library?request=${same}`, {}, t("takes", { count: number(count) }));
}

// Where a video comes from, and where it is.
function foot(entry, video, chooser) {
  const uris = entry.files.map((uri) => copyButton(plain(uri), t("copyUriOf", { name: plain(video.name) }), t("copyUri")));
  const from = [quoted(entry.dag), " · ", quoted(entry.run, "id")];
  return element(
    "div",
    { className: "foot" },
    element("p", {}, time(entry.at), ...(entry.triggered_by ? [" · ", sentence("triggeredBy", { name: quoted(entry.triggered_by) })].flat() : [])),
    element("p", {}, ...from),
    element("p", { className: "buttons" }, taskLink(entry, t("openTask")) ?? t("runGone"), takes(entry), ...uris),
    element("label", {}, chooser.box(entry, video.name), " ", t("compare")),
  );
}

function row(entry, chooser) {
  const video = videoOfEntry(entry);
  const length = video.seconds ?? video.request?.duration ?? null;
  const cells = [
    chooser.box(entry, video.name),
    time(entry.at),
    badge(video),
    taskLink(entry, quoted(video.name)) ?? quoted(video.name),
    element("span", { className: "excerpt" }, quoted(video.request?.prompt ?? "")),
    quoted(entry.dag),
    quoted(video.request?.model ?? ""),
    length === null ? "" : t("seconds", { count: number(length) }),
    video.cost === null ? t("costUnknown") : money(video.cost),
  ];
  return element("tr", {}, ...cells.map((cell) => element("td", {}, cell)));
}
