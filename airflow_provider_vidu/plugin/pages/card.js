// SPDX-License-Identifier: Apache-2.0
// All facts of one video: open on a task's tab, folded on a card of the gallery.

import { copyButton, element, plain, quoted, sentence, webAddress } from "./parts.js";
import { players } from "./player.js";
import { progress } from "./progress.js";
import { explained } from "./reasons.js";
import { distance, money, number, t, time } from "./text.js";

export function badge({ state, outcome }) {
  const key = `outcome_${outcome}`;
  return element("span", { className: `badge ${state}` }, t(outcome && outcome !== "success" ? key : state));
}

// Sources of an author's prices as protocol/prices.py writes them, the second one before release 0.2.0.
const OWN_PRICES = ["your own prices", "the prices given"];

function cost({ cost, request }) {
  if (cost === null) return t("costUnknown");
  const { costBy } = request ?? {};
  if (!costBy) return t("cost", { money: money(cost) });
  const date = /^prices of (\d{4}-\d\d-\d\d)$/.exec(costBy)?.[1];
  const source = date ? t("pricesOf", { date }) : OWN_PRICES.includes(costBy) ? t("ownPrices") : quoted(costBy);
  return sentence("costBy", { money: money(cost), source });
}

function link({ expiresAt }) {
  if (expiresAt === null) return t("linkUnknown");
  const words = element("span");
  words.dataset.expiresAt = expiresAt;
  showExpiry(words);
  return words;
}

function showExpiry(words) {
  const expiresAt = Number(words.dataset.expiresAt);
  const key = expiresAt * 1000 < Date.now() ? "linkExpired" : "linkUntil";
  words.textContent = t(key, { time: time(expiresAt), distance: distance(expiresAt) });
}

// A link may expire while the tab is open.
setInterval(() => document.querySelectorAll("[data-expires-at]").forEach(showExpiry), 60_000);

function row(key, ...value) {
  return [element("dt", {}, t(key)), element("dd", {}, ...value)];
}

function requestRows(video) {
  const { request, seconds, isTooLarge } = video;
  if (!request) return isTooLarge ? row("prompt", t("tooLarge")) : [];
  const length = seconds ?? request.duration;
  const unset = t("asDefault");
  return [
    row("model", quoted(request.model)),
    row("job", quoted(request.job)),
    row("length", length === null ? unset : t("seconds", { count: number(length) })),
    row("resolution", request.resolution ? quoted(request.resolution) : unset),
    row("seed", ["", "0"].includes(request.seed) ? t("seedRandom") : quoted(request.seed)),
    row("costTerm", cost(video)),
  ];
}

function facts(video) {
  const id = video.viduTaskId;
  const files = video.stored.filter(({ uri }) => uri).map(({ uri }) => element("div", {}, quoted(uri, "id")));
  return element(
    "dl",
    { className: "facts" },
    ...requestRows(video).flat(),
    ...(id ? row("taskId", element("span", { className: "copied" }, quoted(id, "id"), copyButton(plain(id), t("copyTaskId")))) : []),
    ...(video.urls.length ? row("link", link(video)) : []),
    ...(files.length || video.urls.length ? row("stored", files.length ? files : t("notStored")) : []),
  );
}

function prompt({ request }, heading) {
  if (!request) return null;
  const words = element("p", { className: "prompt", tabIndex: 0 }, request.prompt ? quoted(request.prompt) : t("noPrompt"));
  return element("section", {}, element(heading, {}, t("prompt")), words);
}

function frameImage(video) {
  const src = webAddress(video.request?.firstFrame ?? "");
  if (!src) return null;
  const image = element("img", { referrerPolicy: "no-referrer", loading: "lazy", alt: t("firstFrameOf", { name: plain(video.name) }) });
  image.src = src;
  return image;
}

function firstFrame(video, heading) {
  const named = video.request?.firstFrame;
  if (!named) return null;
  const words = element("p", {}, quoted(named, "id"));
  const shown = frameImage(video) ?? words;
  shown.addEventListener("error", () => shown.replaceWith(words));
  return element("section", { className: "frame" }, element(heading, {}, t("firstFrame")), shown);
}

function failure({ failure, state }, heading) {
  if (!failure) return null;
  const { name, reason, upstream } = failure;
  const words = upstream ? t("upstreamFailed") : name ? sentence("seeLog", { name: quoted(name) }) : "";
  const parts = reason ? explained(failure) : [element("p", {}, words)];
  const title = t(state === "success" ? "whyNotStored" : "whyFailed");
  return element("section", { className: "failure" }, element(heading, {}, title), ...parts);
}

export function whole(video, media) {
  const main = [
    video.state === "success" ? players(video, media) : null,
    video.progress ? progress(video.progress) : null,
    failure(video, "h2"),
    prompt(video, "h2"),
    firstFrame(video, "h2"),
  ];
  const title = element("h1", {}, t("video"));
  return element(
    "article",
    { className: "whole" },
    element("header", {}, title, badge(video)),
    element("div", { className: "main" }, ...main),
    element("aside", { ariaLabel: t("details") }, facts(video)),
  );
}

function summary({ request, seconds, cost: price }) {
  if (!request) return null;
  const length = seconds ?? request.duration;
  const parts = [
    request.model && quoted(request.model),
    length !== null && t("seconds", { count: number(length) }),
    request.resolution && quoted(request.resolution),
    price !== null && t("cost", { money: money(price) }),
  ].filter(Boolean);
  return element("p", { className: "summary" }, ...parts.flatMap((part, index) => (index ? [" · ", part] : [part])));
}

function folded(video) {
  const inside = element("details", {}, element("summary", {}, t("details")));
  inside.addEventListener("toggle", () => inside.append(...[prompt(video, "h3"), firstFrame(video, "h3"), facts(video)].filter(Boolean)), { once: true });
  return inside;
}

// Placeholder for a video that does not exist yet, or never will.
function still(video) {
  const image = frameImage(video);
  const words = element("p", { className: "still", ariaHidden: "true" }, t(video.state));
  image?.addEventListener("error", () => image.replaceWith(words));
  return image ?? words;
}

// A card of the gallery. It loads nothing until the gallery sees it come into view and calls `card.fill()`.
export function card(video, media) {
  const screen = element("div", { className: "screen" });
  const fill = () => screen.replaceChildren(...(video.state === "success" && !video.isMany ? players(video, media) : [still(video)]));
  const name = element("h2", { className: "name" }, quoted(video.name));
  const words = video.request?.prompt;
  const made = element(
    "li",
    { className: "card" },
    screen,
    element("div", { className: "heading" }, name, badge(video)),
    video.progress ? progress(video.progress) : null,
    failure(video, "h3"),
    words ? element("p", { className: "excerpt" }, quoted(words)) : null,
    summary(video),
    folded(video),
  );
  return Object.assign(made, { screen, fill });
}
