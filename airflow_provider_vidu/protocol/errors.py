# SPDX-License-Identifier: Apache-2.0
"""
Meaning of error answers, and of the reasons for failed generations.

Source: https://github.com/UCloudDoc-Team/modelverse (api_doc/common, as of 2026-04-15). The codes of failed
generations are Vidu's own, and the API passes them on.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum
from typing import NamedTuple

from airflow_provider_vidu.exceptions import (
    ViduApiError,
    ViduAuthError,
    ViduModerationError,
    ViduRateLimitError,
    ViduRefusedError,
    ViduSubmissionUncertainError,
    ViduTaskNotFoundError,
    ViduUnavailableError,
)

NOT_ACCEPTED = "Nothing was paid."
UNCERTAIN = (
    "The API may have accepted and billed it. Check the usage page of the ModelVerse console before you resubmit it."
)
FREE = "Polling costs nothing."

_NO_SUCH = (
    r"not[ _-]?(found|exist)|does ?n.?t exist|no such|unknown|expired"
    "|不存在|未找到|找不到|没有找到|查(询)?不到|无此|过期|已失效"
)
# A key, an account or a model may also be unknown or expired, which says nothing about the task.
_NO_SUCH_TASK = rf"(?is)(?=.*(task|任务)).*({_NO_SUCH})|\W*(\w+: )?(id |record )?not[ _-]?found\W*$"
_ANY_WORDS = ""


class ErrorRow(NamedTuple):
    """
    Meaning of one kind of answer.

    The first matching row counts, so an unknown code falls back to its HTTP status.

    :param statuses: HTTP statuses, ``None`` for any.
    :param on_submit: Error of a submit, ``None`` if the row is only for polls.
    :param on_read: Error of a poll, ``None`` if the row is only for submits.
    :param advice: Next step, empty (default) for none.
    :param codes: The API's own codes, empty (default) for any.
    :param words: Pattern for the text of a JSON answer, ``None`` (default) for any answer, JSON or not.
    """

    statuses: Collection[int] | None
    on_submit: type[ViduApiError] | None
    on_read: type[ViduApiError] | None
    advice: str = ""
    codes: frozenset[str] = frozenset()
    words: str | None = None


_AUTH = "Check the API key, its quota, its address allow-list and the connection's auth_scheme, then retry."
_UNKNOWN_TASK = "The server does not know this task: it is new, has expired or belongs to another key."
_AGAIN = "Correct the request; the API refuses the same one again."

ERRORS: tuple[ErrorRow, ...] = (
    ErrorRow((401, 403), ViduAuthError, ViduAuthError, _AUTH),
    ErrorRow((408,), ViduSubmissionUncertainError, ViduUnavailableError),
    ErrorRow((429,), ViduRateLimitError, ViduRateLimitError, "Retry later."),
    ErrorRow((404,), None, ViduTaskNotFoundError, _UNKNOWN_TASK, words=_ANY_WORDS),
    ErrorRow(range(400, 500), None, ViduTaskNotFoundError, _UNKNOWN_TASK, words=_NO_SUCH_TASK),
    ErrorRow(
        (400,),
        ViduModerationError,
        None,
        "Content moderation refused the text. Change it.",
        frozenset({"invalid_messages", "sensitive_check_error"}),
    ),
    ErrorRow(
        (400,),
        ViduRefusedError,
        None,
        "This key may not use this model. Choose another model, or have this one enabled.",
        frozenset({"model_error"}),
    ),
    ErrorRow((400,), ViduRefusedError, None, "The prompt is too long. Shorten it.", frozenset({"tokens_too_long"})),
    ErrorRow((404,), ViduRefusedError, ViduRefusedError, "Check the base URL in the connection's host."),
    ErrorRow((413,), ViduRefusedError, None, "The request is too large. Pass files as URLs instead."),
    ErrorRow(range(400, 500), ViduRefusedError, None, _AGAIN),
    ErrorRow(range(400, 500), None, ViduRefusedError),
    ErrorRow(
        range(300, 400),
        ViduRefusedError,
        ViduRefusedError,
        "The provider follows no redirects. Put the final base URL into the connection's host.",
    ),
    # 5xx, and every unusable answer: a 200 with an error, without a task id or without JSON.
    ErrorRow(None, ViduSubmissionUncertainError, ViduUnavailableError),
)


def meaning(status: int, code: str, words: str | None, *, submit: bool) -> tuple[type[ViduApiError], str]:
    """
    Find the error that an answer means.

    :param status: HTTP status.
    :param code: The API's own code, empty if it returned none.
    :param words: Text of the answer, ``None`` if the answer is not JSON.
    :param submit: Whether it answers a submit.
    :return: Type of the error, and a text that names the costs and the next step.
    """
    row = next(
        row
        for row in ERRORS
        if (row.on_submit if submit else row.on_read)
        and (row.statuses is None or status in row.statuses)
        and (not row.codes or code in row.codes)
        and (row.words is None or (words is not None and re.match(row.words, words)))
    )
    kind = (row.on_submit if submit else row.on_read) or ViduApiError
    paid = FREE if not submit else UNCERTAIN if kind is ViduSubmissionUncertainError else NOT_ACCEPTED
    return kind, f"{paid} {row.advice}".rstrip()


class Family(str, Enum):
    """Reasons for failed generations, grouped by the reader's next step."""

    MODERATION = "moderation"
    INPUT = "input"
    CAPACITY = "capacity"
    ACCOUNT = "account"
    UNKNOWN = "unknown"

    @property
    def retry_can_help(self) -> bool:
        """
        Whether the same request can succeed without a person's help.

        A retry submits and pays for it again.
        """
        return self in (Family.CAPACITY, Family.UNKNOWN)

    @property
    def advice(self) -> str:
        """Next step."""
        return _ADVICE[self]


_ADVICE = {
    Family.MODERATION: "Content moderation stopped it: change the prompt or the image.",
    Family.INPUT: "The input is wrong: fix the image or the parameters.",
    Family.CAPACITY: "The service was short of capacity: the same request can succeed later.",
    Family.ACCOUNT: "The account is at fault: fix its balance or its permissions.",
    Family.UNKNOWN: "This version does not know the reason; the same request may succeed.",
}

FAMILIES: tuple[tuple[Family, str], ...] = (
    (Family.MODERATION, "TaskPromptPolicyViolation|AuditSubmitIllegal|CreationPolicyViolation"),
    (Family.INPUT, r"ImageFormatInvalid|ImageDownloadFailure|\b(ImageCheck|Field[A-Z])|BadRequest"),
    (
        Family.CAPACITY,
        "QuotaExceeded|TooManyRequests|SystemThrottling|OperationInProcess|ModelUnavailable|InternalServiceFailure",
    ),
    (Family.ACCOUNT, "CreditInsufficient|Unauthorized|Forbidden"),
    (
        Family.MODERATION,
        "(?i)policy|sensitive|moderat|audit|illegal|prohibited|inappropriate|nsfw|copyright|violat|unsafe"
        "|审核|審核|敏感|违规|違規|违法|违禁|違禁|(?<!格式)不合规|色情|暴力|暴恐|血腥|低俗|涉政|政治|涉黄|涉恐|未成年|肖像|侵权|版权|风控"
        "|不良|不安全|内容非法|非法内容|社区规范",
    ),
    (
        Family.ACCOUNT,
        r"(?i)credit|balance|arrears|overdue|unpaid|\bfunds?\b|billing|payment|recharge|top.?up|\baccount|subscription"
        r"|quota|unauthori[sz]ed|forbidden|permission|api.?key"
        r"|\bpoints\b|积分|点数|余额|餘額|金额不足|资金|欠费|逾期|账单|充值|账户|账号|帐户|帐号|帳戶|帳號|额度|配额|套餐|未授权|无权|权限|冻结|停用"
        r"|限额|密钥|实名|未开通|次数.{0,3}(用完|用尽|上限)",
    ),
    # Before the words of ``INPUT``, which also tell that a limit is exceeded.
    (Family.CAPACITY, "频率|频繁|并发|限流|排队任务"),
    (
        Family.INPUT,
        r"(?i)\binvalid|unsupported|not supported|malformed|corrupt|parameter|\bformat\b|aspect.?ratio|resolution"
        r"|dimensions?\b|too (large|small|long|short|big|many (images|subjects|characters))|download"
        "|参数|格式|无效|不支持|不符合|损坏|下载|尺寸|分辨率|比例|时长|过大|过小|过长|过短|超出|超过|无法识别|未检测到|读取失败|解析失败",
    ),
    (
        Family.CAPACITY,
        r"(?i)busy|too many|throttl|rate.?limit|overload|capacity|unavailable|time.?out|timed out|try again|queue"
        "|繁忙|排队|超时|稍后|重试|拥挤|资源不足|资源紧张|高峰|算力|(系统|服务|服务器)(忙|异常|错误|不可用|内部错误)",
    ),
)
"""
Patterns of the families, of which the first match counts.

Vidu's codes come first, then words in Chinese and English, because the text is free. Families that no retry can help
come before the words of ``CAPACITY``, so that an ambiguous reason is not paid again.
"""


def family_of(error_message: str) -> Family:
    """
    Find the family of a failed generation's reason.

    :param error_message: The server's reason: a code, a sentence in Chinese or English, or both.
    :return: Its family, ``Family.UNKNOWN`` if no pattern matches.
    """
    return next((family for family, pattern in FAMILIES if re.search(pattern, error_message)), Family.UNKNOWN)


def family_of_text(text: str) -> Family:
    """
    Find the family of a failed generation from the text of its error.

    The text ends with the advice of the family, unless an earlier release wrote it.

    :param text: the reason as the ledger, a manifest or an XCom has it.
    """
    return next((family for family in Family if family.advice in text), None) or family_of(text)
