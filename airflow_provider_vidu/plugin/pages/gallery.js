// SPDX-License-Identifier: Apache-2.0
// Many videos: totals, a filter, and cards that load nothing until they come into view.

import { manifestLines } from "./airflow.js";
import { card } from "./card.js";
import { element, message, say, quoted, sentence, trouble } from "./parts.js";
import { isPlaying } from "./player.js";
import { batchProgress } from "./progress.js";
import { explained } from "./reasons.js";
import { money, number, t } from "./text.js";
import { added, totals, videoOfLine, videosOf } from "./videos.js";

const CARDS_AT_A_TIME = 60;
const FILTERS = ["all", "success", "waiting", "failed", "skipped"];

// A batch; it reads the lines of its manifest on demand.
class Batch {
  constructor(facts) {
    this.facts = facts;
    this.videos = [];
    this.next = facts.over && facts.hasManifest ? 0 : null;
    this.trouble = null;
    this.reading = null;
  }

  // Several callers may overlap; each line is read once.
  readOn() {
    return (this.reading ??= this.#read().finally(() => (this.reading = null)));
  }

  async #read() {
    const { task } = this.facts;
    try {
      const { lines, next } = await manifestLines(task, this.next);
      this.videos.push(...lines.map((line) => videoOfLine(task, line)));
      this.next = next;
    } catch (error) {
      this.trouble = error;
      this.next = null;
    }
  }

  // Null if the page knows none.
  get totals() {
    const { totals: ended, reported, over } = this.facts;
    return ended ?? (this.videos.length ? totals(this.videos) : over ? null : (reported?.totals ?? null));
  }
}

// Status and errors of a batch itself.
function notice({ facts: { name, state, reason, error, over, reported }, trouble: unread, totals: known }, media) {
  const title = element("h2", {}, quoted(name));
  const parts = [];
  if (!over) parts.push(element("p", {}, t(state === null ? "batchNotStarted" : "batchWaits")));
  if (reported && !(over && known)) parts.push(...batchProgress(reported, over));
  if (state === "success" && !known) parts.push(element("p", {}, t("batchUnknown")));
  if (["failed", "upstream_failed"].includes(state)) {
    const words = state === "failed" ? sentence("seeLog", { name: quoted(name) }) : t("upstreamFailed");
    parts.push(element("div", { className: "failure" }, ...(reason ? explained({ reason, error }) : [element("p", {}, words)])));
  }
  if (unread) parts.push(element("p", {}, unread.status === 404 ? t(media ? "manifestGone" : "mediaOff") : trouble(unread)));
  return parts.length ? element("section", { className: "notice" }, title, ...parts) : null;
}

export class Gallery {
  constructor(root) {
    this.root = root;
    this.filter = "all";
    this.limit = CARDS_AT_A_TIME;
    this.batches = new Map();
    this.cards = new Map();
    this.seen = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => this.#fillOrEmpty(target.card, isIntersecting)));
    this.end = new IntersectionObserver(([entry]) => entry.isIntersecting && this.#showMore());
  }

  // Shows the videos of the tasks in `own`, with the facts that the tasks in `all` hold of them.
  async update(all, { media, late, away }, own = all) {
    this.media = media;
    this.isPartial = late + away > 0;
    this.videos = videosOf(all, own);
    const known = this.batches;
    this.batches = new Map();
    for (const one of own.filter(({ isBatch }) => isBatch)) {
      const key = JSON.stringify(one);
      const before = known.get(key);
      // A manifest that could not be read may be readable by now.
      this.batches.set(key, before && !before.trouble ? before : new Batch(one));
    }
    await this.#readOn();
    if (!this.list?.isConnected) this.#build();
    this.#render();
  }

  // Rebuilds the whole gallery, in the current language.
  rebuild() {
    if (!this.videos) return;
    this.cards.clear();
    this.#build();
    this.#render();
  }

  #build() {
    this.totals = element("dl", { className: "totals", ariaLabel: t("totals") });
    this.counts = new Map();
    this.notices = element("div", { className: "notices" });
    this.list = element("ul", { className: "cards", ariaLabel: t("videos") });
    this.none = message("", "none");
    this.more = element("button", { type: "button", className: "more", hidden: true }, t("more"));
    this.more.addEventListener("click", () => this.#showMore());
    const title = element("h1", { className: "unseen" }, t("videos"));
    this.header = element("header", {}, title, this.totals, this.#filters());
    this.root.replaceChildren(this.header, this.notices, this.none, this.list, this.more);
    this.end.disconnect();
    this.end.observe(this.more);
  }

  #filters() {
    const choices = FILTERS.map((value) => {
      const input = element("input", { type: "radio", name: "state", value, checked: value === this.filter });
      input.addEventListener("change", () => this.#choose(value));
      const count = element("span", { className: "count" });
      this.counts.set(value, count);
      return element("label", {}, input, element("span", {}, t(value), " ", count));
    });
    return element("fieldset", { className: "filter" }, element("legend", { className: "unseen" }, t("filter")), ...choices);
  }

  async #choose(value) {
    this.filter = value;
    this.limit = CARDS_AT_A_TIME;
    this.list.ariaBusy = true;
    await this.#readOn();
    this.#render();
    this.list.ariaBusy = false;
    say(t("shown", { count: number(this.list.children.length) }));
  }

  async #showMore() {
    if (this.more.hidden || this.more.disabled) return;
    this.more.disabled = true;
    this.limit += CARDS_AT_A_TIME;
    await this.#readOn();
    this.more.disabled = false;
    this.#render();
  }

  get #all() {
    return [...this.videos, ...[...this.batches.values()].flatMap(({ videos }) => videos)];
  }

  get #matching() {
    return this.#all.filter(({ state }) => this.filter === "all" || state === this.filter);
  }

  // Reads manifests until there are enough videos to show.
  async #readOn() {
    while (this.#matching.length < this.limit) {
      const batch = [...this.batches.values()].find(({ next }) => next !== null);
      if (!batch) return;
      await batch.readOn();
    }
  }

  #render() {
    const wanted = this.#matching.slice(0, this.limit).map((video) => this.#cardOf(video));
    // Cards that stay are not moved, so that their players play on.
    const kept = new Set(wanted);
    for (const old of [...this.list.children]) if (!kept.has(old)) old.remove();
    wanted.forEach((one, index) => {
      if (this.list.children[index] !== one) this.list.insertBefore(one, this.list.children[index] ?? null);
    });
    const batches = [...this.batches.values()];
    this.notices.replaceChildren(...batches.map((batch) => notice(batch, this.media)).filter(Boolean));
    this.more.hidden = batches.every(({ next }) => next === null) && this.#matching.length <= this.limit;
    // If no batch has reported numbers, showing 0 would be wrong.
    const known = batches.map(({ totals }) => totals).filter(Boolean);
    this.header.hidden = !this.videos.length && !known.length;
    this.none.hidden = wanted.length > 0 || this.notices.children.length > 0;
    this.none.textContent = t("noMatch");
    const unknown = batches.filter(({ totals, facts: { over, state } }) => over && !totals && state !== "skipped");
    this.#renderTotals(added([totals(this.videos), ...known, { unpricedBatches: unknown.length + this.isPartial }]));
  }

  #renderTotals(found) {
    const all = found.success + found.waiting + found.failed + found.skipped;
    const counted = found.unpriced ? t("withoutPrice", { count: number(found.unpriced) }) : "";
    const unpriced = found.unpricedBatches ? t("someWithoutPrice") : counted;
    const rows = [
      ["totalVideos", number(found.success)],
      ["totalSeconds", number(found.seconds)],
      ["totalCost", found.cost || !unpriced ? t("cost", { money: money(found.cost) }) : t("costUnknown"), unpriced],
      ["totalFailed", number(found.failed)],
    ];
    this.totals.replaceChildren(
      ...rows.map(([key, value, small]) => {
        const note = small ? element("dd", { className: "small" }, small) : null;
        return element("div", { className: key }, element("dt", {}, t(key)), element("dd", {}, value), note);
      }),
    );
    for (const [value, count] of this.counts) count.textContent = number({ ...found, all }[value]);
    const words = t("saidTotals", { ready: number(found.success), failed: number(found.failed) });
    if (this.words && this.words !== words) say(words);
    this.words = words;
  }

  #cardOf(video) {
    const looks = JSON.stringify([video, this.media]);
    const known = this.cards.get(video.id);
    if (known && (known.looks === looks || isPlaying(known))) return known;
    const made = Object.assign(card(video, this.media), { looks });
    made.screen.card = made;
    this.cards.set(video.id, made);
    this.seen.observe(made.screen);
    return made;
  }

  #fillOrEmpty(shown, isSeen) {
    if (isSeen) return shown.screen.firstChild ? undefined : shown.fill();
    // A browser limits the number of players. A player that plays or has been started stays.
    const films = [...shown.screen.querySelectorAll("video")];
    if (films.every((film) => film.paused && film.currentTime === 0)) shown.screen.replaceChildren();
  }
}
