// SPDX-License-Identifier: Apache-2.0
// Requests of the pages to Airflow's api-server, with the user's own cookie.

function decoded(value) {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

// Airflow 3.1 does not encode the "+" of a run id, and URLSearchParams would turn it into a blank.
export function queryOf(search) {
  const pairs = search.slice(1).split("&");
  return new Map(pairs.map((pair) => pair.split("=").map(decoded)));
}

const given = queryOf(location.search);

// Airflow leaves a placeholder in the address if it has no value for it.
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

export async function get(route, values) {
  const answer = await fetch(`${route}?${new URLSearchParams(values)}`);
  if (!answer.ok) throw new Refused(answer.status);
  return answer.json();
}

function route(name, ...parts) {
  return [name, page.dag_id, page.run_id, ...parts].map(encodeURIComponent).join("/");
}

// A run's Vidu task instances, whether the server plays stored files, and how many values of XComs are missing.
export async function instances() {
  const found = { instances: [], late: 0, away: 0 };
  let answer = { next: {} };
  while (answer.next) {
    answer = await get(route("videos"), answer.next);
    found.instances.push(...answer.instances);
    found.late += answer.late;
    found.away += answer.away;
  }
  return { ...found, media: answer.media };
}

// One page of a batch's manifest: {lines, next}.
export function manifestLines({ task_id, map_index }, start) {
  return get(route("manifest", task_id, map_index), { start });
}

// Address of a stored file's player: the page names the task and a number, and the server resolves the file.
// The library has the address itself.
export function mediaAddress({ task, item, file, address }) {
  if (address) return address;
  const { task_id, map_index } = task;
  return route("media", task_id, map_index, item === undefined ? file : `${item}.${file}`);
}
