// SPDX-License-Identifier: Apache-2.0
// The videos of a run, from its task instances. A user who may edit XComs can store any value, so every type is
// checked.

const MOST_FILES = 20;
// As in protocol/batch.py.
const OUTCOMES = ["success", "reused", "failed", "refused", "uncertain", "unsubmitted", "timeout", "lost", "not_stored"];
const WITH_VIDEO = ["success", "reused"];
const AT_WORK = ["running", "deferred", "up_for_reschedule"];
const OVER = ["failed", "upstream_failed", "success", "skipped", "removed"];

const record = (value) => (value && typeof value === "object" && !Array.isArray(value) ? value : {});
const text = (value) => (typeof value === "string" ? value : "");
const texts = (value) => (Array.isArray(value) ? value.slice(0, MOST_FILES).map(text) : []);
const amount = (value) => (typeof value === "number" && Math.abs(value) < 1e12 ? value : null);
const first = (...values) => values.find((value) => value !== null && value !== "") ?? values.at(-1);

// Epoch seconds from a number of seconds or an ISO time.
function moment(value) {
  const seconds = typeof value === "string" ? Date.parse(value) / 1000 : amount(value);
  // A Date beyond this limit is invalid.
  return Number.isFinite(seconds) && Math.abs(seconds) <= 8.64e12 ? seconds : null;
}

// XComs arrive as JSON texts. One that does not parse counts as absent.
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

// The facts that one task instance holds.
export function facts(instance) {
  // Airflow removes the XComs of a cleared task only when the task starts again.
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
    isBatch: ["ViduGenerateBatchOperator", "ViduBatchDecoratedOperator"].includes(operator) || "manifest" in result,
    submits,
    stores,
    request: shownRequest(request),
    // The server replaces a value that is too large with null.
    isTooLarge: left.vidu_request === null,
    hasMade: instance.state === "success" && !stores && (!submits || isAlone),
    viduTaskId: first(
      ...[result.task_id, xcoms.vidu_task_id, submits && returned, failure.task_id, progress.task_id].map(text),
    ),
    urls: texts(result.urls),
    files: stores ? texts(returned) : texts(result.files),
    seconds: amount(result.video_seconds),
    // An API server that does not know the finish time may report 0.
    expiresAt: result.finish_time === 0 ? null : moment(result.expires_at),
    reason: text(failure.reason),
    error: text(failure.error),
    progress: {
      word: text(progress.state),
      since: first(moment(progress.submitted_at), moment(instance.start_date)),
      expected: first(amount(progress.expected_seconds), amount(xcoms.expected_seconds)),
    },
    hasManifest: Boolean(result.manifest),
    totals: totalsOfBatch(result),
    reported: submitsOf(record(xcoms.vidu_submits), progress),
  };
}

// The parts of a request that are shown; null if the request is absent or too large.
function shownRequest(request) {
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

// The stored files of a task, or of an item of its manifest.
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

// One video from the facts of all its tasks, such as submit, sensor and transfer. `isLeft`: no task outside `members`
// may still wait for it.
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
    failure: failed ? { name: failed.name, reason: failed.reason, error: failed.error, upstream: failed.state === "upstream_failed" } : null,
    outcome: "",
    progress: state === "waiting" ? waitOf(members, isLeft) : null,
  };
}

// The video of one line of a batch's manifest.
export function videoOfLine(task, line) {
  const { item, custom_id, request, reason, error, family, task_id, files, video_seconds, estimated_cost } = line;
  const outcome = OUTCOMES.includes(line.outcome) ? line.outcome : "failed";
  const state = WITH_VIDEO.includes(outcome) ? "success" : "failed";
  return {
    id: JSON.stringify({ ...task, item }),
    name: text(custom_id) || `${item}`,
    state,
    viduTaskId: text(task_id),
    request: shownRequest({ ...record(request), estimated_cost }),
    isTooLarge: false,
    cost: amount(estimated_cost),
    urls: [],
    expiresAt: null,
    seconds: state === "success" ? amount(video_seconds) : null,
    stored: stored(files, task, item),
    failure: state === "failed" ? { name: "", reason: text(reason), error: text(error), family: text(family), outcome, upstream: false } : null,
    outcome,
    progress: null,
  };
}

// Outcomes of the ledger, as the pages show them: its words for a state and, where there is one, for an outcome.
const OF_LEDGER = { stored: ["success", "success"], reused: ["success", "reused"], running: ["waiting", ""], failed: ["failed", "failed"], uncertain: ["failed", "uncertain"], gone: ["failed", "lost"] };

// The video of one entry of the library.
export function videoOfEntry(entry) {
  const { address, custom_id, task, map_index, files, cost, seconds, reason, vidu_task_id } = entry;
  const [state, outcome] = OF_LEDGER[entry.outcome] ?? ["failed", "failed"];
  return {
    id: address,
    name: custom_id || (map_index < 0 ? task : `${task} [${map_index}]`),
    state,
    viduTaskId: vidu_task_id,
    request: shownRequest({ ...entry.request, estimated_cost: cost }),
    isTooLarge: false,
    // A batch without a ledger is one entry without files.
    isMany: state === "success" && !files.length,
    cost,
    urls: [],
    expiresAt: null,
    seconds,
    stored: texts(files).map((uri, file) => ({ uri, address: `${address}/${file}` })),
    failure: state === "failed" && reason ? { name: "", reason, outcome, upstream: false } : null,
    outcome,
    progress: null,
  };
}

// The videos of the tasks in `own`, from the facts of all tasks of the run. Videos of batches come from their
// manifests.
export function videosOf(all, own = all) {
  const groups = new Map();
  for (const one of all) {
    if (one.isBatch) continue;
    // A task that does not know its video yet adds nothing: the task that submits stands for the video.
    if (!one.viduTaskId && !one.submits && one.state !== "failed") continue;
    const key = one.viduTaskId || JSON.stringify(one.task);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  // A task in progress that has not reported its video's id may wait for any of the videos.
  const isLeft = all.every(({ over, submits, isBatch, viduTaskId }) => over || submits || isBatch || viduTaskId);
  const tasks = new Set(own.map(({ task }) => JSON.stringify(task)));
  const chosen = [...groups.values()].filter((members) => members.some(({ task }) => tasks.has(JSON.stringify(task))));
  return chosen.map((members) => video(members, isLeft));
}

const sum = (values) => values.reduce((total, value) => total + (value ?? 0), 0);

// Number of videos in each state, seconds and cost of a list.
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

// Numbers by outcome; null if there are none.
function countsOf({ counts }) {
  const found = Object.entries(record(counts)).map(([outcome, count]) => [outcome, Math.max(0, amount(count) ?? 0)]);
  return found.length ? Object.fromEntries(found) : null;
}

// The same numbers of a batch that has ended, from its return value instead of its manifest; null if it holds none.
function totalsOfBatch(summary) {
  const counts = countsOf(summary);
  if (!counts) return null;
  const success = sum(WITH_VIDEO.map((outcome) => counts[outcome]));
  const all = sum(Object.values(counts));
  const cost = amount(summary.estimated_cost);
  return {
    success,
    waiting: 0,
    failed: all - success,
    skipped: 0,
    seconds: amount(summary.video_seconds) ?? 0,
    cost: cost ?? 0,
    unpriced: 0,
    // At least one price is unknown, and the batch does not report the sum of the others.
    unpricedBatches: cost === null ? 1 : 0,
  };
}

// What a batch has reported before its end: its items by outcome, and how many tasks of its wait have ended at least.
function submitsOf(submits, progress) {
  const counts = countsOf(submits);
  if (!counts) return null;
  const ended = countsOf(progress);
  const { tasks } = progress;
  const count = (found, outcomes) => sum(outcomes.map((outcome) => found[outcome]));
  const [items, success, open] = [sum(Object.values(counts)), count(counts, WITH_VIDEO), count(counts, ["submitted", "unsubmitted"])];
  const isEnded = ended && amount(tasks) !== null;
  return {
    items,
    counts,
    waited: isEnded ? { tasks, ended: sum(Object.values(ended)), made: ended.success ?? 0 } : null,
    totals: {
      success,
      waiting: counts.submitted ?? 0,
      failed: items - success - open,
      skipped: 0,
      seconds: 0,
      cost: amount(submits.estimated_cost) ?? 0,
      unpriced: 0,
      unpricedBatches: amount(submits.estimated_cost) === null ? 1 : 0,
    },
  };
}

export function added(several) {
  const keys = ["success", "waiting", "failed", "skipped", "seconds", "cost", "unpriced", "unpricedBatches"];
  return Object.fromEntries(keys.map((key) => [key, sum(several.map((one) => one[key]))]));
}
