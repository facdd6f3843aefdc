// SPDX-License-Identifier: Apache-2.0
// The players of a video: each tries the stored copy first, then the result link if it has not expired.

import { mediaAddress } from "./airflow.js";
import { element, message, plain, webAddress } from "./parts.js";
import { t } from "./text.js";

function isExpired({ expiresAt }) {
  return expiresAt !== null && expiresAt < Date.now() / 1000;
}

// For each file of a video, the addresses to try in turn.
function sources(video, media) {
  const count = Math.max(1, video.urls.length, video.stored.length);
  return Array.from({ length: count }, (_, index) => {
    const copy = video.stored[index];
    const url = isExpired(video) ? null : webAddress(video.urls[index] ?? "");
    return [media && copy ? mediaAddress(copy) : null, url].filter(Boolean);
  });
}

function whyNone(video, media) {
  if (video.stored.length && !media) return t(isExpired(video) ? "expiredNoMedia" : "storedNoMedia");
  return t(isExpired(video) ? "expiredNoCopy" : "noUsableLink");
}

function player(addresses, label) {
  const frame = element("div", { className: "player" });
  const film = element("video", { controls: true, preload: "metadata", playsInline: true, ariaLabel: label });
  film.append(...addresses.map((src) => element("source", { src, type: "video/mp4" })));
  // Errors do not bubble: an error of the last source means that no source can be played.
  film.lastChild.addEventListener("error", () => frame.replaceChildren(message(t("cannotPlay"), "absent")));
  frame.append(film);
  return frame;
}

// The tabs keep a playing video, even if newer facts arrive.
export function isPlaying(part) {
  return [...part.querySelectorAll("video")].some((film) => !film.paused);
}

export function players(video, media) {
  const all = sources(video, media);
  const count = all.length;
  return all.map((addresses, index) => {
    if (!addresses.length) return element("div", { className: "player" }, message(whyNone(video, media), "absent"));
    const label = t(count > 1 ? "playerOf" : "player", { name: plain(video.name), number: index + 1, count });
    return player(addresses, label);
  });
}
