// SPDX-License-Identifier: Apache-2.0
// The texts of the pages in English and Chinese, and their formats of numbers and times. The pages show `error_…` only
// in Chinese, since a message is its own English form; the English of a class is that of exceptions.py.

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
  withoutPrice: ["{count} with unknown price", "{count} 个价格未知"],
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
  whyNotStored: ["Why it was not stored", "未存储的原因"],
  seeLog: ["See the log of {name}.", "请查看 {name} 的日志。"],
  upstreamFailed: ["An upstream task has failed.", "上游任务失败。"],
  elapsed: ["{elapsed} since submission", "提交后已过 {elapsed}"],
  elapsedOf: ["{elapsed} elapsed, typically {expected}", "已用时 {elapsed}，通常需要 {expected}"],
  lastWord: ["Vidu status: {word}", "Vidu 状态：{word}"],
  waitingFor: ["Waiting for the video", "正在等待视频"],
  submitted: ["Submitted; no status yet", "已提交，尚无状态"],
  noTaskWaits: ["Submitted; no task of this run is waiting for the video.", "已提交，但此次 Dag 执行中没有任务在等待该视频。"],
  batchNotStarted: ["The batch has not started yet.", "批量任务尚未开始。"],
  batchWaits: ["The batch is in progress. Its videos appear here when it has ended.", "批量任务进行中，结束后会在此列出视频。"],
  batchSubmitted: ["Submitted: {submitted} of {items}.", "已提交：{submitted} / {items}。"],
  batchCount: ["{words}: {count}.", "{words}：{count}。"],
  batchStoredBefore: ["Stored before", "此前已存储"],
  batchNoneEnded: ["No end of a Vidu task has been reported yet.", "尚无 Vidu 任务结束的报告。"],
  batchEnded: ["At least {ended} of {tasks} Vidu tasks have ended: {made} with a video, {left} without.", "{tasks} 个 Vidu 任务中至少有 {ended} 个已结束：{made} 个有视频，{left} 个没有。"],
  batchAllEnded: ["The wait for {tasks} Vidu tasks has ended: {made} with a video, {left} without. The batch stores the videos.", "对 {tasks} 个 Vidu 任务的等待已结束：{made} 个有视频，{left} 个没有。批量任务正在存储视频。"],
  batchWaitingFor: ["Ended Vidu tasks", "已结束的 Vidu 任务"],
  batchLastReport: ["This is the last report of the batch before it ended.", "这是批量任务结束前的最后一次报告。"],
  batchUnknown: ["This page does not know the numbers of this batch: it has no return value that the page can read.", "无法显示此批量任务的数据：它没有此页可读取的返回值。"],
  valuesAway: ["{count} values of this run's tasks are kept by an XCom backend from which this Airflow instance cannot read, so details and numbers are missing here.", "此次 Dag 执行有 {count} 个值由 XCom 后端保存在别处，Airflow 无法读取，因此此页缺少部分信息和数字。"],
  valuesLate: ["Airflow is still reading {count} values from the XCom backend; numbers may grow.", "Airflow 正在从 XCom 后端读取 {count} 个值，数字可能继续增加。"],
  mediaOff: ["Cannot list the videos: [vidu] media_roots is empty, so this Airflow instance does not read stored files.", "无法列出视频：未配置 [vidu] media_roots，Airflow 不会读取已存储的文件。"],
  manifestGone: ["Cannot list the videos: the manifest no longer exists, or this server has no permission to read it.", "无法列出视频：清单文件已不存在，或此服务器无权读取。"],
  more: ["Show more", "显示更多"],
  shown: ["Videos shown: {count}", "已显示 {count} 个视频"],
  library: ["Vidu videos", "Vidu 视频"],
  view: ["View", "视图"],
  spending: ["Spending", "花费"],
  failures: ["Failures", "失败"],
  refresh: ["Refresh", "刷新"],
  clearFilters: ["Clear filters", "清除筛选"],
  filters: ["Filters", "筛选"],
  searchText: ["Prompt or custom id", "提示词或自定义 ID"],
  dag: ["DAG", "Dag"],
  run: ["Run id", "执行 ID"],
  connection: ["Connection", "连接"],
  state: ["State", "状态"],
  stateStored: ["Stored", "已存储"],
  stateRunning: ["Running, or not stored yet", "生成中或尚未存储"],
  stateGone: ["Lost: can no longer be stored", "已丢失：无法再存储"],
  since: ["From day", "起始日期"],
  until: ["To day", "结束日期"],
  least: ["Cost from (CNY)", "费用下限（元）"],
  most: ["Cost up to (CNY)", "费用上限（元）"],
  layout: ["Layout", "布局"],
  wall: ["Wall", "画廊"],
  list: ["List", "列表"],
  csv: ["Download as CSV", "下载 CSV"],
  when: ["Submitted", "提交时间"],
  name: ["Name", "名称"],
  found: ["Videos found: {count}", "找到 {count} 个视频"],
  noneFound: ["No entries match these filters.", "没有符合筛选条件的记录。"],
  totalFound: ["Entries", "记录数"],
  triggeredBy: ["run triggered by {name}", "由 {name} 触发"],
  openTask: ["Open task", "打开任务"],
  runGone: ["Run not in this Airflow", "此 Airflow 中没有该 Dag 执行"],
  copyUri: ["Copy URI", "复制 URI"],
  copyUriOf: ["Copy the URI of {name}", "复制 {name} 的 URI"],
  compare: ["Compare", "对比"],
  compareOf: ["Compare {name}", "对比 {name}"],
  compareTable: ["Chosen entries side by side", "所选视频并排对比"],
  saidCompare: ["Entries side by side: {count}. Rows that differ: {differ}.", "并排对比 {count} 项，{differ} 行不同。"],
  chosen: ["Chosen to compare: {count} of at most {most}", "已选择对比：{count} 项，最多 {most} 项"],
  chooseMore: ["Choose two to {most} entries in the view of videos, then come back.", "请先在视频视图中选择 2 至 {most} 项。"],
  clearChoice: ["Clear choice", "清除选择"],
  takes: ["All {count} takes", "全部 {count} 个版本"],
  takesOnly: ["Only takes of one request are shown. “Clear filters” shows all entries.", "仅显示同一请求的各个版本。点击“清除筛选”可显示全部。"],
  field: ["Field", "字段"],
  differs: ["Differs:", "不同："],
  actions: ["Actions", "操作"],
  remove: ["Remove", "移除"],
  unchoose: ["Remove {name} from the comparison", "从对比中移除 {name}"],
  playTogether: ["Play together from the start", "从头一起播放"],
  pauseAll: ["Pause all", "全部暂停"],
  copyPython: ["Copy as Python", "复制为 Python"],
  copyPythonOf: ["Copy {name} as a line of Python", "将 {name} 复制为一行 Python"],
  ledgerAway: ["Airflow cannot read the ledger now. The page shows what it read before; the log of the api-server has the reason.", "Airflow 当前无法读取账本，此页显示之前读取的内容。原因见 api-server 日志。"],
  readsOn: ["Airflow is still reading older entries; numbers may grow.", "Airflow 正在读取较早的记录，数字可能继续增加。"],
  noLedger: ["No ledger is configured for the api-server. The page shows the last 30 days of Airflow's database, and each batch that has ended as one entry.", "api-server 未配置账本。此页显示 Airflow 数据库中最近 30 天的内容，每个已结束的批量任务算作一条记录。"],
  xcomsElsewhere: ["Videos whose XComs Airflow keeps in an object store are missing here. With [vidu] ledger the page shows them.", "XCom 存放在对象存储中的视频不会显示在此页；配置 [vidu] ledger 后即可显示。"],
  onlyNewest: ["The ledger has more entries than the page shows. It shows the newest ones.", "账本中的记录多于此页所能显示的数量，仅显示最新的记录。"],
  libraryMediaOff: ["Stored videos do not play here because [vidu] media_roots is empty.", "未配置 [vidu] media_roots，无法在此播放已存储的视频。"],
  noLibrary: ["You do not have permission to see this page.", "您没有权限查看此页。"],
  wrongConfiguration: ["The [vidu] configuration of the api-server is wrong. Its log has the reason.", "api-server 的 [vidu] 配置有误，原因见其日志。"],
  notLoaded: ["Airflow did not respond. Try again.", "Airflow 没有响应，请重试。"],
  ledgerUnread: ["Airflow cannot read the ledger now. The log of the api-server has the reason.", "Airflow 当前无法读取账本，原因见 api-server 日志。"],
  wrongFilter: ["A filter has a value that the server does not accept.", "某个筛选条件的值无效。"],
  saidSpend: ["About {money} for {count} entries", "{count} 条记录，约 {money}"],
  period: ["Period", "周期"],
  day: ["Day", "日"],
  week: ["Week", "周"],
  month: ["Month", "月"],
  sumBy: ["Sum by", "汇总依据"],
  dailyLeft: ["Left today: {left} of {limit}, until {time}", "今日剩余：{left}，预算 {limit}，{time} 重置"],
  monthlyLeft: ["Left this month: {left} of {limit}, until {time}", "本月剩余：{left}，预算 {limit}，{time} 重置"],
  dailyOwn: ["Daily budget: {limit}. Your DAGs have spent {own} today.", "每日预算：{limit}。您可查看的 Dag 今日已花费 {own}。"],
  monthlyOwn: ["Monthly budget: {limit}. Your DAGs have spent {own} this month.", "每月预算：{limit}。您可查看的 Dag 本月已花费 {own}。"],
  budgetLine: ["budget {money}", "预算 {money}"],
  byState: ["Entries by state", "按状态统计"],
  share: ["Share", "占比"],
  others: ["Others", "其他"],
  unnamed: ["Unknown", "未知"],
  unpriced: ["Without a price", "价格未知"],
  spentBy: ["Estimated cost by period, in the days of {zone}", "各周期预估费用（日期按 {zone} 时区）"],
  plotOf: ["Bars of the estimated cost of each period; the table below has the same numbers.", "各周期预估费用柱状图，下方表格列出相同数据。"],
  waitsBy: ["Time from submit to ready, as a multiple of the typical time", "从提交到完成的用时与通常用时之比"],
  waitsTable: ["Time from submit to ready", "从提交到完成的用时"],
  plotOfWaits: ["Dots of the time from submit to ready as a multiple of the typical time; the table below has the same numbers.", "从提交到完成的用时与通常用时之比散点图，下方表格列出相同数据。"],
  waitTitle: ["{time} · {count} videos · median {median}, {times} typical · one in ten above {late}", "{time} · {count} 个视频 · 中位数 {median}，为通常的 {times} · 十分之一超过 {late}"],
  wait_median: ["Median of typical", "中位数与通常之比"],
  wait_late: ["One in ten above", "十分之一超过"],
  wait_slow: ["Slow: median of {times} or more", "缓慢：中位数达 {times} 或以上"],
  wait_typical: ["Typical time (1×)", "通常用时（1×）"],
  typicalTime: ["Typical time", "通常用时"],
  medianTime: ["Median time", "用时中位数"],
  spanFrom: ["From", "起始时间"],
  slowSpan: ["(slow)", "（缓慢）"],
  untimed: ["Stored videos without a known time or typical time: {count}.", "{count} 个已存储视频缺少用时或通常用时。"],
  saidFailures: ["Failed: {failed}. Paid and not stored: {left}.", "失败：{failed}。已付费未存储：{left}。"],
  noFailures: ["No failures match these filters.", "没有符合筛选条件的失败记录。"],
  mostFailed: ["DAGs with the most of them: {dags}", "失败最多的 Dag：{dags}"],
  newest: ["Newest examples", "最近几例"],
  unstored: ["Paid and not stored: {count}, about {money}", "已付费未存储：{count} 个，约 {money}"],
  unstoredList: ["Paid and not stored", "已付费未存储"],
  howToRescue: ["Each of these tasks still runs after two hours, or no task stored its video. Trigger a DAG with ViduRescueOperator, such as example_vidu_rescue, to store the videos before their links expire.", "这些任务已运行超过两小时，或其视频未被存储。请触发含 ViduRescueOperator 的 Dag（如 example_vidu_rescue），在链接过期前存储视频。"],
  linkLives: ["expires {distance} at the earliest", "最早 {distance}过期"],
  linkMaybeDead: ["may have expired", "可能已过期"],
  familyModeration: ["Content moderation", "内容审核未通过"],
  adviceModeration: ["Content moderation stopped it: change the prompt or the image.", "未通过内容审核：请修改提示词或图片。"],
  familyInput: ["Wrong input", "输入有误"],
  adviceInput: ["The input is wrong: fix the image or the parameters.", "输入有误：请修正图片或参数。"],
  familyCapacity: ["Capacity of the service", "服务容量不足"],
  adviceCapacity: ["The service was short of capacity: the same request can succeed later.", "服务容量不足：相同请求稍后可能成功。"],
  familyAccount: ["Account", "账户问题"],
  adviceAccount: ["The account is at fault: fix its balance or its permissions.", "账户有问题：请检查余额或权限。"],
  familyUnknown: ["Unknown reason", "原因未知"],
  adviceUnknown: ["This version does not know the reason; the same request may succeed.", "此版本无法识别该原因；相同请求可能成功。"],
  adviceUncertain: ["The API may have accepted and billed it. Check the usage page of the ModelVerse console before you resubmit it.", "API 可能已接受该提交并计费。重新提交前，请在 ModelVerse 控制台的用量页面核对。"],
  adviceLost: ["The links have expired, or the server does not know the task, so only a new submit can make the video. To prevent this, run ViduRescueOperator every hour.", "链接已过期，或服务器找不到该任务，只能重新提交以生成视频。请每小时运行 ViduRescueOperator 以避免此情况。"],
  error_ViduRequestError: ["A wrong request. Nothing was sent or paid. Correct the request; a retry alone cannot help.", "请求有误。此次未发送请求，未扣费。请修正请求；仅重试无法解决。"],
  error_ViduConnectionSettingsError: ["An Airflow connection that is missing or holds a wrong value. Nothing was sent. Fix the connection, then retry.", "缺少 Airflow 连接，或连接中有错误的值。此次未发送请求。请修正连接，然后重试。"],
  error_ViduStateError: ["A failed read or write of a store that a submit depends on. Nothing was sent. Nothing was paid; retry. The store is the task state store, the ledger, or the store of a price file or an input file.", "提交所依赖的存储读取或写入失败。此次未发送请求，未扣费，请重试。这里的存储是任务状态存储、账本，或价目表文件、输入文件所在的存储。"],
  error_ViduBudgetError: ["The budget of the day or month does not cover the submit. Nothing was sent or paid. Wait for the next day or month, at which the budget resets, or raise it.", "当日或当月的预算不足以支付此次提交。此次未发送请求，未扣费。请等到次日或次月预算重置，或提高预算。"],
  error_ViduRefusedError: ["A refused request. The API accepted nothing, and nothing was paid. Correct the request; the API refuses the same one again.", "请求被拒绝。API 未接受此次请求，未扣费。请修正请求；API 会再次拒绝相同的请求。"],
  error_ViduModerationError: ["A text that content moderation refused. Nothing was paid. Change the text; only another one can help.", "文本未通过内容审核，未扣费。请修改文本；只有换用其他文本才可能成功。"],
  error_ViduAuthError: ["A wrong key, an exhausted quota or an address that is not allowed. Nothing was paid. Fix the cause, then retry.", "密钥错误、配额用尽或地址不在白名单中。此次请求未扣费。请先排除原因，然后重试。"],
  error_ViduRateLimitError: ["A request that exceeded the API's rate limit. Nothing was paid. Retry later; the same request can succeed.", "请求被 API 限流。此次请求未扣费。请稍后重试；相同的请求可能成功。"],
  error_ViduConnectError: ["A request that was never sent: refused connection, DNS, connect timeout, TLS. Nothing was paid; retry.", "请求未能发出：连接被拒绝、DNS 解析失败、连接超时或 TLS 错误。此次请求未扣费，请重试。"],
  error_ViduTaskNotFoundError: ["A task that the server does not know. Check the id, the key and the base URL. The task is new or has expired, or its id or the key belongs to another account or server.", "服务器找不到该任务。请检查任务 ID、密钥和基础 URL。可能是任务刚提交或已过期，也可能是任务 ID 或密钥属于其他账户或服务器。"],
  error_ViduUnavailableError: ["A poll that failed for now: timeout, 5xx or an unusable answer. Polling again costs nothing and can help.", "轮询暂时失败：超时、5xx 或响应无法使用。重新轮询不产生费用，可能成功。"],
  error_ViduSubmissionUncertainError: ["A submit that was sent, but whose outcome is unknown. The API may have accepted and billed it, so resubmitting may pay twice. Check the usage page of the ModelVerse console first.", "提交已发送，但结果不明。API 可能已接受该提交并计费，因此重新提交可能会重复付费。请先在 ModelVerse 控制台的用量页面核对。"],
  error_ViduDownloadError: ["A video that could not be downloaded or stored completely. It is paid and stays at its link until that expires. Retry; storing costs nothing.", "视频未能完整下载或存储。已付费的视频在链接过期之前可通过链接获取。请重试；存储不产生费用。"],
  error_ViduEventError: ["A trigger event in an unknown format. The generation continues. Resume the wait with ``ViduTaskSensor``.", "触发器事件的格式未知。生成仍在继续。请用 ViduTaskSensor 恢复等待。"],
  error_timeout: ["The wait timed out; the Vidu task keeps running and is billed. Resume the wait at no cost.", "等待超时，视频尚未完成；Vidu 任务仍在运行并计费。请用 ViduTaskSensor 恢复等待，不产生费用。"],
  error_contact: ["The wait ended without the video; the Vidu task may continue and is billed. Fix the cause, then resume the wait at no cost.", "等待已结束，但没有得到视频；Vidu 任务可能仍在运行并计费。请先排除原因，然后用 ViduTaskSensor 恢复等待，不产生费用。"],
  error_unrecorded: ["The video is paid, and a retry would pay again. Fetch it as the message says.", "已付费，但此次尝试没有留下提交记录，重试或清除此任务会再次付费。请先排除原因，然后按下方原文获取视频，不产生费用。"],
  error_elsewhere: ["An earlier try stored the video in a file that this worker does not see. Use one destination for all workers, then clear the task.", "之前的尝试已存储该视频，但此 worker 找不到该文件。请让所有 worker 共享目标位置，然后清除此任务。"],
  error_batch: ["Items of the batch have no video. The message says what a retry pays for.", "批量任务中有视频未能生成或存储，原因见各视频的卡片或清单文件。重试可补救哪些视频、会为哪些视频再次付费，见下方原文。"],
  error_unsubmitted: ["It was not submitted. Fix the cause, then retry.", "未提交。请先按下方原文排除原因，然后重试。"],
  error_other: ["See the message.", "任务失败，原因和下一步见下方原文。"],
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

export const knows = (key) => Object.hasOwn(TEXTS, key);

export const english = (key) => TEXTS[key][0];

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
