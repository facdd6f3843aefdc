// SPDX-License-Identifier: Apache-2.0
// The tab "Videos" of a DAG run.

import { instances } from "./airflow.js";
import { Gallery } from "./gallery.js";
import { open } from "./tab.js";
import { facts } from "./videos.js";

const gallery = new Gallery(document.getElementById("page"));

async function load() {
  const found = await instances();
  return { ...found, all: found.instances.map(facts) };
}

async function update({ all, ...rest }) {
  if (!all.length) return "noVideos";
  return gallery.update(all, rest);
}

open("videos", load, update, () => gallery.rebuild());
