// SPDX-License-Identifier: Apache-2.0
// What the pages ask of Airflow's api-server, with the user's own cookie.

function decoded(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

// Not by URLSearchParams: Airflow 3.1 leaves the "+" of a run id as it is, which would become a blank.
const given = new Map(
  location.search
    .slice(1)
    .split("&")
    .map((pair) => pair.split("=").map(decoded)),
);

// Airflow leaves the placeholder as it is where there is nothing to put in its place.
const parameter = (name) => (/^\{\w+\}$/.test(given.get(name)) ? null : (given.get(name) ?? null));

export const page = {
  dag_id: parameter("dag_id") ?? "",
  run_id: parameter("run_id") ?? "",
  task_id: parameter("task_id"),
  map_index: parameter("map_index"),
};

export class Refused extends Error {
  constructor(status) {
    super(`HTTP ${status}`);
    this.status = status;
  }
}

async function ask(route, values) {
  const answer = await fetch(`${route}?${new URLSearchParams(values)}`);
  if (!answer.ok) throw new Refused(answer.status);
  return answer.json();
}

function route(name, ...parts) {
  return [name, page.dag_id, page.run_id, ...parts].map(encodeURIComponent).join("/");
}

// A run's task instances that have to do with Vidu, and whether stored files can be played.
export async function instances() {
  const found = [];
  let answer = { next: 0 };
  while (answer.next !== null) {
    answer = await ask(route("videos"), { offset: answer.next });
    found.push(...answer.instances);
  }
  return { instances: found, media: answer.media };
}

// A batch's lines, some of them at a time: {lines, next}.
export function manifestLines({ task_id, map_index }, start) {
  return ask(route("manifest", task_id, map_index), { start });
}

// Where a stored file is played from: the page names the task and a number, the server knows the file.
export function mediaAddress({ task: { task_id, map_index }, item, file }) {
  return route("media", task_id, map_index, item === undefined ? file : `${item}.${file}`);
}
