// SPDX-License-Identifier: Apache-2.0
// The tab "Video" of a task instance: one video, or a gallery for a batch or for all map indexes.

import { instances, page } from "./airflow.js";
import { whole } from "./card.js";
import { Gallery } from "./gallery.js";
import { plain, say } from "./parts.js";
import { isPlaying } from "./player.js";
import { open } from "./tab.js";
import { t } from "./text.js";
import { facts, video, videosOf } from "./videos.js";

const main = document.getElementById("page");
const gallery = new Gallery(main);
let shown = null;

async function load() {
  const found = await instances();
  // Submit, sensor, generate and transfer each hold a part of one video's facts.
  const all = found.instances.map(facts);
  return { ...found, own: all.filter(isOwn), all };
}

function isOwn({ task: { task_id, map_index } }) {
  return task_id === page.task_id && [null, `${map_index}`].includes(page.map_index);
}

function update({ own, all, ...rest }) {
  const { media } = rest;
  if (!own.length) {
    shown = null;
    return "noVideo";
  }
  if (own.length > 1 || own[0].isBatch) {
    shown = null;
    return gallery.update(all, rest, own);
  }
  const found = { video: videosOf(all, own)[0] ?? video(own), media };
  if (JSON.stringify(found) === JSON.stringify(shown) || isPlaying(main)) return null;
  const { state, progress } = found.video;
  const word = plain(progress?.word ?? "");
  if (shown) say(t(word ? "saidStatus" : "saidState", { state: t(state), word }));
  shown = found;
  rebuild();
  return null;
}

function rebuild() {
  if (shown) main.replaceChildren(whole(shown.video, shown.media));
  else gallery.rebuild();
}

open("video", load, update, rebuild);
