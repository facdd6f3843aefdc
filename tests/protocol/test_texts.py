# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_vidu.protocol.fields import Field, Kind, spoken_units
from airflow_provider_vidu.protocol.texts import (
    brief,
    data_uri_bytes,
    is_data_uri,
    is_store_uri,
    is_url,
    one_line,
    without_secrets,
)
from tests.protocol.jobs import DATA, FRAME, problems

SECRET = "c2VjcmV0" * 200


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (f"data:image/png;base64,{SECRET}", "a data URI of 1,622 characters ('data:image/png;base64')"),
        (f"DATA:IMAGE/PNG;BASE64,{SECRET}", "a data URI of 1,622 characters ('DATA:IMAGE/PNG;BASE64')"),
        (f"data:{SECRET}", "a data URI of 1,605 characters"),
        (f" \ndata:image/png;base64,{SECRET}", "a data URI of 1,624 characters"),
        ([FRAME, f"data:image/png;base64,{SECRET}"], "a list that holds a data URI"),
        ({"images": [f"Data:image/png;base64,{SECRET}"]}, "a dict that holds a data URI"),
        ("x" * 78, repr("x" * 78)),
        ("x" * 79, f"'{'x' * 79}… (81 characters)"),
        (10**5000, "an int that is too large to show"),
        (None, "None"),
    ],
    ids=range(10),
)
def test_a_value_is_shown_shortly_and_never_with_the_content_of_a_file(value, text):
    assert brief(value) == text


@pytest.mark.parametrize(
    "values",
    [
        {"images": f"data:image/png;base64,{SECRET}"},
        {"images": [f"data:image/png,{SECRET}"]},
        {"subjects": [{"id": "1", "images": [f" data:image/png;base64,{SECRET}"]}]},
        {"subjects": [{"id": f"data:image/png;base64,{SECRET}", "images": []}]},
        {"subjects": [{"id": "", "images": [f"data:image/png;base64,{SECRET}"]}]},
        {"duration": f"data:image/png;base64,{SECRET}"},
        {"prompt": [f"data:image/png;base64,{SECRET}"]},
        {"seed": {"a": f"data:image/png;base64,{SECRET}"}},
    ],
)
def test_no_refusal_shows_what_a_data_uri_holds(values):
    found = problems("reference2video", "viduq2", {"prompt": "p", **values})
    assert found
    assert SECRET[:8] not in " ".join(found)


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ("http://h", True),
        ("https://h/a b", True),
        ("https:///a", False),
        ("https:// h", False),
        ("h", False),
        (5, False),
    ],
)
def test_a_url_has_a_scheme_and_a_host(value, is_one):
    assert is_url(value) is is_one


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        (DATA, True),
        ("data:image/svg+xml;base64,", True),
        ("data:;base64,", False),
        ("data:image/png,x", False),
        (5, False),
    ],
)
def test_a_data_uri_is_of_base64_and_names_its_type(value, is_one):
    assert is_data_uri(value) is is_one


STORE_URIS = {
    **dict.fromkeys(["s3://conn@bucket/a", "gs://b/a", "abfs://c@b/a b", "S3://b/a", "my-store+2://b/a"], True),
    **dict.fromkeys(["https://h/a", "HTTP://h/a", "ftp://h/a", "file:///a", "file://h/a", "local://a"], False),
    **dict.fromkeys(["/s3://b/a", "s3:/b", "s3:///a", "s3:// b", "a.png", "data:image/png;base64,AAAA", "", 5], False),
}


@pytest.mark.parametrize(("value", "is_one"), STORE_URIS.items())
def test_a_uri_of_a_store_has_a_scheme_and_a_host(value, is_one):
    assert is_store_uri(value) is is_one


@settings(deadline=None, database=None, derandomize=True)
@given(st.binary(max_size=64))
def test_the_bytes_of_a_data_uri_are_counted_without_decoding_it(content):
    assert data_uri_bytes(f"data:image/png;base64,{base64.b64encode(content).decode()}") == len(content)


@pytest.mark.parametrize(
    ("text", "units"),
    [("", 0), ("abc", 3), ("字", 2), ("a字 ", 4), ("<#1#>", 0), ("a<#1#>b<#2#>", 2), ("<#", 2), ("𠀀", 2), ("ア", 1)],
)
def test_a_han_character_counts_two_and_a_pause_none(text, units):
    assert spoken_units(text) == units


def test_a_limit_on_one_side_or_none_is_not_checked_on_the_other():
    assert Field(name="n", kind=Kind.INTEGER, high=3).problem(-9) is None
    assert Field(name="n", kind=Kind.IMAGES).problem([]) is None
    assert Field(name="n", kind=Kind.SUBJECTS).problem([]) is None
    assert Field(name="n", kind=Kind.SPEECH).problem("") is None


SIGNED = {
    "https://h/a.png?X-Amz-Algorithm=A&X-Amz-Credential=id%2F1&X-Amz-Signature=0f&X-Amz-Expires=60": (
        "https://h/a.png?X-Amz-Algorithm=A&X-Amz-Credential=***&X-Amz-Signature=***&X-Amz-Expires=60"
    ),
    "https://h/a?X-Amz-Security-Token=t&x=1#f": "https://h/a?X-Amz-Security-Token=***&x=1#f",
    "https://h/a?OSSAccessKeyId=i&Expires=9&Signature=s%3D": "https://h/a?OSSAccessKeyId=***&Expires=9&Signature=***",
    "https://h/a?AWSAccessKeyId=i&Signature=s": "https://h/a?AWSAccessKeyId=***&Signature=***",
    "https://h/a?x-oss-signature=s&x-oss-credential=c": "https://h/a?x-oss-signature=***&x-oss-credential=***",
    "https://h/a?q-ak=i&q-signature=s&x-cos-security-token=t": (
        "https://h/a?q-ak=***&q-signature=***&x-cos-security-token=***"
    ),
    "https://h/a?UCloudPublicKey=k&Signature=s&Expires=1": "https://h/a?UCloudPublicKey=***&Signature=***&Expires=1",
    "https://h/a?GoogleAccessId=i&X-Goog-Signature=s": "https://h/a?GoogleAccessId=***&X-Goog-Signature=***",
    "https://h/a?sv=1&sig=s&se=2": "https://h/a?sv=1&sig=***&se=2",
    "https://h/a?token=t": "https://h/a?token=***",
    "https://h/a?ACCESS_TOKEN=t": "https://h/a?ACCESS_TOKEN=***",
    "https://h/a?X-Tos-Credential=c&X-Tos-Signature=s": "https://h/a?X-Tos-Credential=***&X-Tos-Signature=***",
    # As JSON and as other URLs quote them.
    r"https://h/a?v=1\u0026Signature=s": r"https://h/a?v=1\u0026Signature=***",
    "https://f/?u=https%3A%2F%2Fh%2Fa%3Fsig%3Dt%26Signature%3Ds": "https://f/?u=https%3A%2F%2Fh%2Fa%3Fsig%3D***",
    "https://user:p%40ss@h/a": "https://***@h/a",
    "s3://conn@bucket/a.png": "s3://conn@bucket/a.png",
    "https://h/design?keyboard=1&tokens=2&signed=3": "https://h/design?keyboard=1&tokens=2&signed=3",
    "https://h/@home?a=b": "https://h/@home?a=b",
    "a text about ?tokens and me@home": "a text about ?tokens and me@home",
}


@pytest.mark.parametrize(("url", "expected"), SIGNED.items())
def test_what_opens_a_url_is_hidden_and_the_rest_stays_readable(url, expected):
    assert without_secrets(url) == expected


def test_a_url_that_is_refused_is_shown_without_its_signature():
    (found,) = problems("img2video", "viduq2-turbo", {"first_frame_url": FRAME, "prompt": ["https://h/a?sig=abc"]})
    assert "sig=***" in found
    assert "abc" not in found


@pytest.mark.parametrize(
    ("text", "expected"),
    [("plain 字 ☂", "plain 字 ☂"), ("a\nb\r\t\x1b[31m", "a\\nb\\r\\t\\x1b[31m"), ("\u2028\u202e", "\\u2028\\u202e")],
)
def test_a_text_from_outside_stays_in_one_line(text, expected):
    assert one_line(text) == expected
