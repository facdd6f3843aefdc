// SPDX-License-Identifier: Apache-2.0
// The view and its filters, kept in the address of the browser's window, so that a user can share what it shows.

import { queryOf } from "./airflow.js";
import { element } from "./parts.js";

export const FILTERS = ["text", "dag", "run", "model", "job", "connection", "state", "since", "until", "least", "most", "request"];
const CHOICES = { view: ["videos", "spend", "failures", "compare"], layout: ["wall", "list"], by: ["day", "week", "month"], of: ["dag", "model", "connection"] };
const isFramed = parent !== window;

function read() {
  let given = queryOf(location.search);
  // Airflow before 3.3 does not pass the query of the window on to this frame.
  if (isFramed && ![...given.keys()].some((key) => key)) given = queryOf(parent.location.search);
  const filters = FILTERS.map((name) => [name, given.get(name) ?? ""]);
  const choices = Object.entries(CHOICES).map(([name, values]) => [name, values.includes(given.get(name)) ? given.get(name) : values[0]]);
  return { ...Object.fromEntries([...filters, ...choices]), chosen: given.get("chosen") ?? "" };
}

export const state = read();

export function filters() {
  return Object.fromEntries(FILTERS.filter((name) => state[name]).map((name) => [name, state[name]]));
}

// The addresses of the entries to compare. An address contains no comma.
export function chosen() {
  return state.chosen.split(",").filter(Boolean);
}

export function choose(address, isChosen) {
  const others = chosen().filter((one) => one !== address);
  keep({ chosen: [...others, ...(isChosen ? [address] : [])].join(",") });
}

// Keeps new values, also in the address.
export function keep(values) {
  Object.assign(state, values);
  const turned = Object.entries(CHOICES).filter(([name, [first]]) => state[name] !== first);
  const compared = state.chosen ? { chosen: state.chosen } : {};
  const query = new URLSearchParams({ ...Object.fromEntries(turned.map(([name]) => [name, state[name]])), ...filters(), ...compared });
  // A "+" in an address stands for itself here, as in Airflow's run ids.
  const search = `${query}` && `?${query}`.replaceAll("+", "%20");
  history.replaceState(null, "", location.pathname + search);
  if (isFramed) parent.history.replaceState(parent.history.state, "", parent.location.pathname + search);
}

// A link to a page of Airflow's UI, or to a file.
export function airflowLink(path, properties, ...children) {
  const link = element("a", { href: new URL(path, location.href).href, ...properties }, ...children);
  link.addEventListener("click", (event) => {
    if (!isFramed) return;
    // Airflow's sandbox lets this frame neither change the window's page nor, before 3.3, download. A link of the
    // window's own document may.
    event.preventDefault();
    const own = Object.assign(parent.document.createElement("a"), { href: link.href, download: link.download });
    if (!link.hasAttribute("download")) own.removeAttribute("download");
    if (event.ctrlKey || event.metaKey) own.target = "_blank";
    parent.document.body.append(own);
    own.click();
    own.remove();
  });
  return link;
}

export function taskLink({ dag, run, task, map_index, known }, ...children) {
  if (!known) return null;
  const mapped = map_index < 0 ? "" : `/mapped/${map_index}`;
  const [dagPart, runPart, taskPart] = [dag, run, task].map(encodeURIComponent);
  return airflowLink(`../dags/${dagPart}/runs/${runPart}/tasks/${taskPart}${mapped}/plugin/vidu_video`, {}, ...children);
}
