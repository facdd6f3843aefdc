# SPDX-License-Identifier: Apache-2.0
"""The families of failed generations. What answers mean is tested where they are read, in ``test_response``."""

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
        "Rejected by our content policy",
        "Sensitive content",
        "the moderation service refused the image",
        "内容审核未通过",
        "图片包含敏感信息",
        "提示词违规",
        "forbidden by policy",
    ],
    Family.INPUT: [
        "ImageFormatInvalid",
        "code=ImageDownloadFailure, message=",
        "ImageCheckFailed",
        "FieldInvalid: duration",
        "BadRequest",
        "invalid image url",
    ],
    Family.CAPACITY: [
        "code=QuotaExceeded, message=try later",
        "TooManyRequests",
        "SystemThrottling",
        "OperationInProcess",
        "ModelUnavailable",
        "InternalServiceFailure",
    ],
    Family.ACCOUNT: ["CreditInsufficient", "code=Unauthorized", "Forbidden"],
    Family.UNKNOWN: ["", "something broke", "生成失败", "it was forbidden", "a field in spring", "MyFieldTrip"],
}


@pytest.mark.parametrize(("family", "reason"), [(family, text) for family in REASONS for text in REASONS[family]])
def test_a_reason_belongs_to_one_family(family, reason):
    assert family_of(reason) is family
    # A manifest holds it with the advice, and is read again by a retry.
    assert family_of(TaskStatus("vidu-1", "Failure", error_message=reason).reason) is family


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
