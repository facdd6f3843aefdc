// SPDX-License-Identifier: Apache-2.0
// The texts of the pages in English and Chinese, and their formats of numbers and times.

const TEXTS = {
  video: ["Video", "视频"],
  videos: ["Videos", "视频"],
  loading: ["Loading …", "加载中…"],
  noVideo: ["Nothing to show: this task has reported no Vidu video.", "没有可显示的内容：此任务没有上报任何 Vidu 视频。"],
  noVideos: ["Nothing to show: no task of this run has reported a Vidu video.", "没有可显示的内容：此次 Dag 执行中没有任务上报任何 Vidu 视频。"],
  noMatch: ["No videos in this state.", "没有处于此状态的视频。"],
  notSubmitted: ["Not submitted yet", "尚未提交"],
  signIn: ["You are no longer signed in. Sign in to Airflow, then reopen this tab.", "登录已失效。请重新登录 Airflow，然后重新打开此标签页。"],
  forbidden: ["You do not have permission to read this DAG's task instances and XComs.", "您没有权限读取此 Dag 的任务实例和 XCom。"],
  unreachable: ["Airflow is not responding; retrying.", "Airflow 暂无响应，正在重试。"],
  all: ["All", "全部"],
  success: ["Ready", "已完成"],
  waiting: ["Waiting", "等待中"],
  failed: ["Failed", "失败"],
  skipped: ["Skipped", "已跳过"],
  outcome_reused: ["Reused, no cost", "已复用，未扣费"],
  outcome_failed: ["Failed", "失败"],
  outcome_refused: ["Refused, not paid", "被拒绝，未扣费"],
  outcome_uncertain: ["Uncertain, possibly paid", "结果不明，可能已扣费"],
  outcome_unsubmitted: ["Not submitted", "未提交"],
  outcome_timeout: ["Timed out, still running", "等待超时，Vidu 仍在生成"],
  outcome_lost: ["Lost, see the reason", "无法获取结果，见原因"],
  outcome_not_stored: ["Generated, not stored", "已生成，未存储"],
  filter: ["Filter by state", "按状态筛选"],
  totals: ["Totals", "合计"],
  totalVideos: ["Videos ready", "已完成视频"],
  totalSeconds: ["Seconds of video", "视频总时长（秒）"],
  totalCost: ["Estimated cost", "预估费用"],
  totalFailed: ["Failed", "失败"],
  saidTotals: ["Videos ready: {ready}. Failed: {failed}.", "已完成视频：{ready}。失败：{failed}。"],
  saidState: ["{state}.", "{state}。"],
  saidStatus: ["{state}. {word}", "{state}。Vidu 状态：{word}"],
  withoutPrice: ["{count} with unknown price", "{count} 个视频价格未知"],
  someWithoutPrice: ["some prices are unknown", "部分视频价格未知"],
  costUnknown: ["unknown", "未知"],
  cost: ["about {money}", "约 {money}"],
  costBy: ["about {money}, based on {source}", "约 {money}（依据：{source}）"],
  pricesOf: ["the prices of {date}", "{date} 的价目表"],
  ownPrices: ["your own prices", "您自定义的价目表"],
  prompt: ["Prompt", "提示词"],
  noPrompt: ["none", "无"],
  firstFrame: ["First frame", "首帧"],
  firstFrameOf: ["First frame of {name}", "{name} 的首帧"],
  job: ["Job type", "接口类型"],
  model: ["Model", "模型"],
  length: ["Duration", "时长"],
  resolution: ["Resolution", "分辨率"],
  seed: ["Seed", "随机种子"],
  seedRandom: ["random", "随机"],
  costTerm: ["Estimated cost", "预估费用"],
  taskId: ["Vidu task id", "Vidu 任务 ID"],
  link: ["Link", "链接"],
  linkUntil: ["valid until {time} ({distance})", "有效期至 {time}（{distance}过期）"],
  linkExpired: ["expired on {time} ({distance})", "已于 {time} 过期（{distance}）"],
  linkUnknown: ["expiry unknown", "有效期未知"],
  stored: ["Stored at", "存储位置"],
  asDefault: ["model default", "模型默认值"],
  tooLarge: ["too large to show here", "内容过大，无法在此显示"],
  seconds: ["{count} s", "{count} 秒"],
  minutes: ["{m}:{s}", "{m} 分 {s} 秒"],
  hours: ["{h}:{m}:{s}", "{h} 小时 {m} 分 {s} 秒"],
  copy: ["Copy", "复制"],
  copied: ["Copied", "已复制"],
  copyTaskId: ["Copy the Vidu task id", "复制 Vidu 任务 ID"],
  details: ["Details", "详细信息"],
  player: ["Video of {name}", "{name} 的视频"],
  playerOf: ["Video {number} of {count} of {name}", "{name} 的第 {number} 个视频，共 {count} 个"],
  cannotPlay: ["Cannot play the video here: it no longer exists, or this server has no permission to read it.", "无法在此播放视频：视频已不存在，或此服务器无权读取。"],
  expiredNoCopy: ["The link has expired, and no task of this run has stored the video.", "链接已过期，且此次 Dag 执行中没有任务存储过该视频。"],
  expiredNoMedia: ["The link has expired. The video is stored, but [vidu] media_roots is empty, so this Airflow instance does not play stored files.", "链接已过期。视频已存储，但未配置 [vidu] media_roots，无法在 Airflow 中播放已存储的文件。"],
  storedNoMedia: ["The video is stored, but [vidu] media_roots is empty, so this Airflow instance does not play stored files.", "视频已存储，但未配置 [vidu] media_roots，无法在 Airflow 中播放已存储的文件。"],
  noUsableLink: ["The task returned no link that a browser can open.", "任务没有返回可在浏览器中打开的链接。"],
  whyFailed: ["Why it failed", "失败原因"],
  notStored: ["not stored yet", "尚未存储"],
  whyNotStored: ["Why it was not stored", "未存储原因"],
  seeLog: ["See the log of {name}.", "请查看 {name} 的日志。"],
  upstreamFailed: ["An upstream task has failed.", "上游任务失败。"],
  elapsed: ["{elapsed} since submission", "提交后已用时 {elapsed}"],
  elapsedOf: ["{elapsed} elapsed, typically {expected}", "已用时 {elapsed}，通常需要 {expected}"],
  lastWord: ["Vidu status: {word}", "Vidu 状态：{word}"],
  waitingFor: ["Waiting for the video", "正在等待视频"],
  submitted: ["Submitted; no status yet", "已提交，尚无状态"],
  noTaskWaits: ["Submitted; no task of this run is waiting for the video.", "已提交，但此次 Dag 执行中没有任务在等待该视频。"],
  batchNotStarted: ["The batch has not started yet.", "批量任务尚未开始。"],
  batchWaits: ["The batch is in progress. Its videos appear here when it has ended.", "批量任务进行中，结束后会在此列出视频。"],
  mediaOff: ["Cannot list the videos: [vidu] media_roots is empty, so this Airflow instance does not read stored files.", "无法列出视频：未配置 [vidu] media_roots，Airflow 不会读取已存储的文件。"],
  manifestGone: ["Cannot list the videos: the manifest no longer exists, or this server has no permission to read it.", "无法列出视频：清单文件已不存在，或此服务器无权读取。"],
  more: ["Show more", "显示更多"],
  shown: ["Videos shown: {count}", "已显示 {count} 个视频"],
};

let language = 0;
let timeZone;

export function speak(code) {
  language = code.startsWith("zh") ? 1 : 0;
  document.documentElement.lang = locale();
}

export function liveIn(zone) {
  try {
    timeZone = JSON.parse(zone) ?? undefined;
    new Intl.DateTimeFormat("en", { timeZone });
  } catch {
    timeZone = undefined;
  }
}

export const locale = () => ["en", "zh-CN"][language];

export function t(key, values = {}) {
  return TEXTS[key][language].replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

export function number(value) {
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: 1 }).format(value);
}

export function money(cny) {
  const digits = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  return `¥${new Intl.NumberFormat(locale(), digits).format(cny)}`;
}

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return t("seconds", { count: whole });
  const pad = (part) => String(part).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, pad(whole % 60)];
  return h ? t("hours", { h, m: pad(m), s }) : t("minutes", { m, s });
}

export function time(epochSeconds) {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short", timeZone }).format(epochSeconds * 1000);
}

// "in 23 hours", "2 days ago"
export function distance(epochSeconds) {
  const seconds = epochSeconds - Date.now() / 1000;
  const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60]].find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  const words = new Intl.RelativeTimeFormat(locale(), { numeric: "always" }).format(Math.trunc(seconds / size), unit);
  // A blank between a number and Chinese letters, as everywhere else.
  return words.replace(/(?<=\d)(?=[\u4e00-\u9fff])/g, " ");
}
