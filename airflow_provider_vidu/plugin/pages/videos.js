// SPDX-License-Identifier: Apache-2.0
// From a run's task instances to its videos. Whoever may edit XComs may put anything there, so every type is looked at.

const MOST_FILES = 20;
// As in protocol/batch.py.
const OUTCOMES = ["success", "failed", "refused", "uncertain", "unsubmitted", "timeout", "lost", "not_stored"];
const AT_WORK = ["running", "deferred", "up_for_reschedule"];
const OVER = ["failed", "upstream_failed", "success", "skipped", "removed"];

const record = (value) => (value && typeof value === "object" && !Array.isArray(value) ? value : {});
const text = (value) => (typeof value === "string" ? value : "");
const texts = (value) => (Array.isArray(value) ? value.slice(0, MOST_FILES).map(text) : []);
const amount = (value) => (typeof value === "number" && Math.abs(value) < 1e12 ? value : null);
const first = (...values) => values.find((value) => value !== null && value !== "") ?? values.at(-1);

// Epoch seconds from what is either such a number or an ISO time.
function moment(value) {
  const seconds = typeof value === "string" ? Date.parse(value) / 1000 : amount(value);
  // Beyond this a Date is none.
  return Number.isFinite(seconds) && Math.abs(seconds) <= 8.64e12 ? seconds : null;
}

// XComs come as JSON texts. One that is not to be read is as one that is not there.
function read(texts) {
  const found = {};
  for (const [key, value] of Object.entries(texts)) {
    try {
      found[key] = JSON.parse(value);
    } catch {
      continue;
    }
  }
  return found;
}

// What one task instance tells.
export function facts(instance) {
  // Airflow removes the XComs of what was cleared only when it starts again.
  const left = instance.state === null ? {} : instance.xcoms;
  const xcoms = read(left);
  const { return_value: returned, vidu_request: request } = xcoms;
  const { operator } = instance;
  const result = record(returned);
  const failure = record(xcoms.vidu_failure);
  const progress = record(xcoms.vidu_progress);
  const isAlone = operator === "ViduGenerateVideoOperator";
  const submits = ["ViduSubmitOperator", "ViduGenerateVideoOperator"].includes(operator) || "vidu_request" in xcoms;
  const stores = operator === "ViduToObjectStorageOperator" || Array.isArray(returned);
  return {
    task: { task_id: instance.task_id, map_index: instance.map_index },
    name: instance.map_index < 0 ? instance.task_id : `${instance.task_id} [${instance.rendered_map_index ?? instance.map_index}]`,
    state: instance.state,
    over: OVER.includes(instance.state),
    isBatch: operator === "ViduGenerateBatchOperator" || "manifest" in result,
    submits,
    stores,
    request: asked(request),
    // The server leaves out what is too large.
    isTooLarge: left.vidu_request === null,
    hasMade: instance.state === "success" && !stores && (!submits || isAlone),
    viduTaskId: first(
      ...[result.task_id, xcoms.vidu_task_id, submits && returned, failure.task_id, progress.task_id].map(text),
    ),
    urls: texts(result.urls),
    files: stores ? texts(returned) : texts(result.files),
    seconds: amount(result.video_seconds),
    // A server that does not know when it finished may have said 0.
    expiresAt: result.finish_time === 0 ? null : moment(result.expires_at),
    reason: text(failure.reason),
    progress: {
      word: text(progress.state),
      since: first(moment(progress.submitted_at), moment(instance.start_date)),
      expected: first(amount(progress.expected_seconds), amount(xcoms.expected_seconds)),
    },
    hasManifest: Boolean(result.manifest),
    totals: totalsOfBatch(result),
  };
}

// The parts of a request that are shown; null where it is absent or too large.
function asked(request) {
  if (!request || typeof request !== "object") return null;
  const input = record(request.input);
  const parameters = record(request.parameters);
  const shown = (value) => (typeof value === "number" ? String(value) : text(value));
  return {
    prompt: text(input.prompt) || text(input.text),
    firstFrame: text(input.first_frame_url) || text(texts(input.images)[0]),
    job: text(parameters.vidu_type),
    model: text(request.model),
    duration: amount(Number(parameters.duration)) || null,
    resolution: shown(parameters.resolution),
    seed: shown(parameters.seed),
    cost: amount(request.estimated_cost),
    costBy: text(request.estimated_by),
  };
}

function stateOf(members) {
  const any = (...states) => members.some(({ state }) => states.includes(state));
  if (members.some(({ urls, files, hasMade }) => urls.length || files.length || hasMade)) return "success";
  if (any("failed", "upstream_failed")) return "failed";
  return members.every(({ over }) => over) && any("skipped", "removed") ? "skipped" : "waiting";
}

// The files of a task, or of an item of its manifest.
function stored(files, task, item) {
  return texts(files).map((uri, file) => ({ uri, task, item, file }));
}

function waitOf(members, isLeft) {
  const wait = members.find(({ over }) => !over);
  return {
    ...(wait ?? members[0]).progress,
    expected: first(...members.map(({ progress }) => progress.expected)),
    isSubmitted: members.some(({ viduTaskId, submits, state }) => viduTaskId || (!submits && AT_WORK.includes(state))),
    isLeft: isLeft && !wait,
  };
}

// One video, of which several tasks may tell: submit, sensor and transfer. `isLeft`: nobody else may yet wait for it.
export function video(members, isLeft = false) {
  const best = (value) => members.map(value).find((found) => (Array.isArray(found) ? found.length : found)) ?? null;
  const state = stateOf(members);
  const request = best(({ request }) => request);
  const viduTaskId = best(({ viduTaskId }) => viduTaskId) ?? "";
  const failed = members.find(({ state }) => state === "failed") ?? members.find(({ state }) => state === "upstream_failed");
  const storer = members.find(({ files }) => files.length);
  return {
    id: viduTaskId || JSON.stringify(members[0].task),
    name: (members.find(({ submits }) => submits) ?? members[0]).name,
    state,
    viduTaskId,
    request,
    isTooLarge: members.some(({ isTooLarge }) => isTooLarge),
    cost: request?.cost ?? null,
    urls: best(({ urls }) => urls) ?? [],
    expiresAt: best(({ expiresAt }) => expiresAt),
    seconds: best(({ seconds }) => seconds),
    stored: storer ? stored(storer.files, storer.task) : [],
    failure: failed ? { name: failed.name, reason: failed.reason, upstream: failed.state === "upstream_failed" } : null,
    outcome: "",
    progress: state === "waiting" ? waitOf(members, isLeft) : null,
  };
}

// One line of a batch's manifest.
export function videoOfLine(task, line) {
  const { item, custom_id, request, reason, task_id, files, video_seconds, estimated_cost } = line;
  const outcome = OUTCOMES.includes(line.outcome) ? line.outcome : "failed";
  const state = outcome === "success" ? "success" : "failed";
  return {
    id: JSON.stringify({ ...task, item }),
    name: text(custom_id) || `${item}`,
    state,
    viduTaskId: text(task_id),
    request: asked({ ...record(request), estimated_cost }),
    isTooLarge: false,
    cost: amount(estimated_cost),
    urls: [],
    expiresAt: null,
    seconds: state === "success" ? amount(video_seconds) : null,
    stored: stored(files, task, item),
    failure: state === "failed" ? { name: "", reason: text(reason), upstream: false } : null,
    outcome,
    progress: null,
  };
}

// The videos of which some tasks tell, with what all of a run tell of them. Those of batches are told by their manifests.
export function videosOf(told, own = told) {
  const groups = new Map();
  for (const one of told) {
    if (one.isBatch) continue;
    // Who waits for nothing yet is told of by who submits.
    if (!one.viduTaskId && !one.submits && one.state !== "failed") continue;
    const key = one.viduTaskId || JSON.stringify(one.task);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  // Who is on its way and has not told its video's id may wait for any of them.
  const isLeft = told.every(({ over, submits, isBatch, viduTaskId }) => over || submits || isBatch || viduTaskId);
  const tasks = new Set(own.map(({ task }) => JSON.stringify(task)));
  const chosen = [...groups.values()].filter((members) => members.some(({ task }) => tasks.has(JSON.stringify(task))));
  return chosen.map((members) => video(members, isLeft));
}

const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

// Videos, seconds, cost and failures of a list.
export function totals(items) {
  const paid = items.filter(({ viduTaskId }) => viduTaskId);
  return {
    success: items.filter(({ state }) => state === "success").length,
    waiting: items.filter(({ state }) => state === "waiting").length,
    failed: items.filter(({ state }) => state === "failed").length,
    skipped: items.filter(({ state }) => state === "skipped").length,
    seconds: sum(items.map(({ seconds }) => seconds)),
    cost: sum(paid.map(({ cost }) => cost)),
    unpriced: paid.filter(({ cost }) => cost === null).length,
    unpricedBatches: 0,
  };
}

// The same of a batch that has ended, without a look at its manifest; null where it does not tell.
function totalsOfBatch(summary) {
  const counts = Object.entries(record(summary.counts)).map(([outcome, count]) => [outcome, amount(count) ?? 0]);
  if (!counts.length) return null;
  const success = sum(counts.filter(([outcome]) => outcome === "success").map(([, count]) => count));
  const all = sum(counts.map(([, count]) => count));
  const cost = amount(summary.estimated_cost);
  return {
    success,
    waiting: 0,
    failed: all - success,
    skipped: 0,
    seconds: amount(summary.video_seconds) ?? 0,
    cost: cost ?? 0,
    unpriced: 0,
    // One price that is unknown, and it does not tell the sum of the others.
    unpricedBatches: cost === null ? 1 : 0,
  };
}

export function added(several) {
  const keys = ["success", "waiting", "failed", "skipped", "seconds", "cost", "unpriced", "unpricedBatches"];
  return Object.fromEntries(keys.map((key) => [key, sum(several.map((one) => one[key]))]));
}
