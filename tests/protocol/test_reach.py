# SPDX-License-Identifier: Apache-2.0
"""Inputs that the service cannot fetch."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_vidu.protocol.reach import ends_at, is_local_host, is_public, unreachable

NOW = datetime(2026, 11, 28, tzinfo=UTC).timestamp()
ADDRESSES = {
    "8.8.8.8": True,
    "2001:4860:4860::8888": True,
    "::ffff:8.8.8.8": True,
    "64:ff9b::808:808": True,
    **dict.fromkeys(("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"), False),
    **dict.fromkeys(("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0", "fd00::1"), False),
    **dict.fromkeys(("ff02::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1"), False),
    **dict.fromkeys(("2002:7f00:1::", "2002:a00:1::1", "198.18.0.1", "192.0.2.1"), False),
    **dict.fromkeys(("64:ff9b:1::808:808", "fec0::1", "::127.0.0.1", "::10.0.0.1"), False),
}


@pytest.mark.parametrize(("address", "expected"), ADDRESSES.items())
def test_an_address_is_public_or_it_is_not(address, expected):
    assert is_public(address) is expected


HOSTS = {
    **dict.fromkeys(
        [
            *("localhost", "minio", "10.1.2.3", "127.0.0.1", "::1", "fd00::1", "169.254.1.1", "192.168.0.9"),
            *("shop.local", "x.svc.cluster.local", "host.docker.internal", "a.svc", "box.lan", "cam.home.arpa"),
            *("LOCALHOST", "minio.", "api.localhost."),
        ],
        True,
    ),
    **dict.fromkeys(["example.com", "8.8.8.8", "2001:4860:4860::8888", "local.example.com", "internal.cn"], False),
}


@pytest.mark.parametrize(("host", "is_local"), HOSTS.items())
def test_a_host_is_local_by_its_name_or_address(host, is_local):
    assert is_local_host(host) is is_local


# What a presigned URL says of its end.
ENDS = {
    "https://b.s3.amazonaws.com/a?X-Amz-Date=20261127T230000Z&X-Amz-Expires=3600&X-Amz-Signature=s": NOW,
    "https://storage.googleapis.com/a?X-Goog-Date=20261127T230000Z&X-Goog-Expires=7200&X-Goog-Signature=s": NOW + 3600,
    "https://b.oss.aliyuncs.com/a?x-oss-date=20261127T230000Z&x-oss-expires=60&x-oss-signature=s": NOW - 3540,
    f"https://b.oss.aliyuncs.com/a?OSSAccessKeyId=k&Expires={NOW:.0f}&Signature=s": NOW,
    f"https://b.cos.myqcloud.com/a?q-sign-algorithm=sha1&q-sign-time={NOW - 60:.0f}%3B{NOW:.0f}&q-signature=s": NOW,
    "https://a.blob.core.windows.net/c/b?se=2026-11-28T00%3A00%3A00Z&sig=s": NOW,
    "https://example.com/a.png": None,
    "https://example.com/a.png?expires=never&signature=s": None,
    "https://example.com/a.png?Expires=1577836800": None,
    "https://example.com/a?X-Amz-Date=today&X-Amz-Expires=3600": None,
    "https://example.com/a?se=no&sig=s": None,
    f"https://example.com/a.png?Expires=-{'9' * 30}&Signature=s": None,
    f"https://example.com/a.png?Expires={'9' * 30}&Signature=s": None,
    "https://example.com/a?X-Amz-Date=00000000T000000Z&X-Amz-Expires=3600": None,
}


@pytest.mark.parametrize(("url", "end"), ENDS.items())
def test_a_presigned_url_says_until_when_it_is_valid(url, end):
    assert ends_at(url) == end


OVER = next(iter(ENDS))
BODIES = {
    "a private host": (
        {"first_frame_url": "http://minio:9000/a.png"},
        "first_frame_url must be a URL that the service",
    ),
    "in a list": (
        {"images": ["https://example.com/a.png", "http://[::1]/a.png"]},
        "images must be a URL that the serv",
    ),
    "of a subject": (
        {"subjects": [{"id": "a", "images": ["http://10.0.0.1/a"]}]},
        "subjects must be a URL that the se",
    ),
    "over": (
        {"video_url": OVER},
        "video_url must be a URL that is still valid, got one that expired at Sat, 28 Nov 2026 00:00:00 GMT",
    ),
}


@pytest.mark.parametrize(("given", "problem"), BODIES.values(), ids=list(BODIES))
def test_an_input_that_the_service_cannot_fetch_is_a_problem(given, problem):
    found = unreachable({"input": given}, "api.modelverse.cn", NOW)
    assert found.startswith(problem)
    assert "X-Amz-Signature=s" not in found


@pytest.mark.parametrize(
    "body",
    [
        {"input": {"first_frame_url": "https://example.com/a.png", "prompt": "http://localhost/ in a prompt"}},
        {"input": {"first_frame_url": "data:image/png;base64,AAAA"}},
        # A field that the provider does not know is not checked.
        {"input": {"shape_url": "http://[::1/a.png"}},
        {"input": []},
        {},
    ],
)
def test_other_inputs_are_none(body):
    assert unreachable(body, "api.modelverse.cn", NOW) is None


def test_a_private_api_may_reach_private_hosts_but_no_expired_url():
    local = {"input": {"first_frame_url": "http://127.0.0.1:9000/a.png"}}
    assert unreachable(local, "127.0.0.1", NOW) is None
    assert unreachable({"input": {"first_frame_url": OVER}}, "127.0.0.1", NOW) is not None
    assert unreachable({"input": {"first_frame_url": OVER}}, "127.0.0.1", NOW - 1) is None
