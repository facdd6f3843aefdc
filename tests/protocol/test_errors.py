# SPDX-License-Identifier: Apache-2.0
"""The families of failed generations. What answers mean is tested in ``test_response`` and ``test_response_errors``."""

from __future__ import annotations

import pytest

from airflow_provider_vidu.protocol.errors import ERRORS, Family, family_of
from airflow_provider_vidu.protocol.response import TaskStatus

REASONS = {
    Family.MODERATION: [
        "TaskPromptPolicyViolation",
        "AuditSubmitIllegal",
        "code=CreationPolicyViolation, message=the video cannot be shown",
        "code=QuotaExceeded, message=TaskPromptPolicyViolation",
        "code=creationpolicyviolation",
        "Rejected by our content policy",
        "Sensitive content",
        "the moderation service refused the image",
        "The image violates our terms",
        "possible copyright infringement",
        "内容审核未通过",
        "图片包含敏感信息",
        "提示词违规",
        "图片不合规，请更换",
        "账户内容违规",
        "forbidden by policy",
        *("图片涉及政治人物", "内容涉黄", "含有血腥内容", "涉及未成年人", "包含违禁词", "含有不良信息"),
        *("图片包含名人肖像", "内容非法", "内容不安全", "内容不符合社区规范", "內容違規", "審核未通過"),
    ],
    Family.INPUT: [
        "ImageFormatInvalid",
        "code=ImageDownloadFailure, message=",
        "code=ImageDownloadFailure, message=timeout, try again",
        "ImageCheckFailed",
        "FieldInvalid: duration",
        "BadRequest",
        "invalid image url",
        "Invalid parameter: duration",
        "unsupported image format",
        "image too large",
        "the aspect ratio is not supported",
        "图片格式错误",
        "图片下载失败，请稍后重试",
        "参数错误",
        "图片尺寸不符合要求",
        "视频时长超出限制",
        "不支持的分辨率",
        *("图片无法识别", "未检测到人脸", "图片读取失败", "文件解析失败", "图片格式不合规"),
    ],
    Family.CAPACITY: [
        "code=QuotaExceeded, message=try later",
        "code=TooManyRequests, message=too many requests of this account",
        "TooManyRequests",
        "SystemThrottling",
        "OperationInProcess",
        "ModelUnavailable",
        "InternalServiceFailure",
        "the server is busy",
        "rate limit reached",
        "task timed out",
        "系统繁忙，请稍后再试",
        "排队超时",
        "请求过于频繁",
        "并发已满",
        *(
            "请求超过频率限制",
            "超过最大并发数",
            "当前排队任务数超过上限",
            "系统忙",
            "服务器内部错误",
            "服务不可用",
            "资源紧张",
        ),
    ],
    Family.ACCOUNT: [
        "资金不足",
        "金额不足",
        "点数不足",
        "账单逾期",
        "餘額不足",
        *(
            "密钥已过期",
            "未实名认证",
            "服务未开通",
            "次数已用完",
            "单日调用次数已达上限",
            "超过每日限额",
            "该账号请求过于频繁",
        ),
        "帳戶已停用",
        "Insufficient points",
        "CreditInsufficient",
        "code=CreditInsufficient, message=服务繁忙",
        "creditinsufficient",
        "code=Unauthorized",
        "Forbidden",
        "it was forbidden",
        "积分不足",
        "余额不足",
        "您的账户已欠费，请充值",
        "账号已冻结",
        "额度已用完",
        "未授权使用该模型",
        "not enough credits",
        "insufficient balance, try again later",
        "account in arrears",
        "Your quota is used up",
        "payment overdue",
        "no permission for this model",
    ],
    Family.UNKNOWN: ["", "something broke", "生成失败", "a field in spring", "MyFieldTrip", "internal error"],
}


@pytest.mark.parametrize(("family", "reason"), [(family, text) for family in REASONS for text in REASONS[family]])
def test_a_reason_belongs_to_one_family(family, reason):
    assert family_of(reason) is family
    # A manifest holds it with the advice, and is read again by a retry.
    assert family_of(TaskStatus("vidu-1", "Failure", error_message=reason).reason) is family


def test_a_reason_with_a_chinese_full_stop_has_no_second_one():
    reason = TaskStatus("vidu-1", "Failure", error_message="图片下载失败，请稍后重试。").reason
    assert reason == f"图片下载失败，请稍后重试. {Family.INPUT.advice}"


def test_only_capacity_and_the_unknown_are_worth_another_generation():
    assert {family: family.retry_can_help for family in Family} == {
        Family.MODERATION: False,
        Family.INPUT: False,
        Family.CAPACITY: True,
        Family.ACCOUNT: False,
        Family.UNKNOWN: True,
    }


def test_every_family_has_its_own_advice():
    assert len({family.advice for family in Family}) == len(Family)


def test_no_row_of_the_table_stands_for_neither_submit_nor_read():
    assert [row for row in ERRORS if not row.on_submit and not row.on_read] == []
