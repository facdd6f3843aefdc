# SPDX-License-Identifier: Apache-2.0
"""Prices of one's own, from a mapping or as spreadsheets save them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.prices import own_prices, text_of

KEY = ("img2video", "viduq2-turbo", 5, "720p")


@pytest.mark.parametrize(
    "given",
    [
        {KEY: "1.25"},
        {KEY: -1},
        {KEY: float("nan")},
        {KEY: float("inf")},
        {KEY: True},
        {KEY: 10**400},
        {KEY: None},
        {("img2video", "viduq2-turbo", "5", "720p"): 1.25},
        {("img2video", "viduq2-turbo", 5): 1.25},
        {"img2video": 1.25},
    ],
)
def test_a_price_table_that_is_none_is_refused(given):
    with pytest.raises(
        ViduRequestError, match=r"prices(: .*| must map .*), got .*\. Nothing was sent or paid\. Correct "
    ):
        own_prices(given)


ROWS = [
    ("img2video", "viduq2-turbo", "5", "720p", "1.25", "26"),
    ("img2video", "viduq3-pro", "", "1080p", "0.9375", ""),
]
NAMES = ("vidu_type", "model", "duration_s", "resolution", "price_cny", "typical_seconds")
TABLE = "\n".join(",".join(row) for row in (NAMES, *ROWS))
SPREADSHEETS = {
    "as it ships": TABLE.encode(),
    "with a mark": b"\xef\xbb\xbf" + TABLE.encode(),
    "in UTF-16": TABLE.encode("utf-16"),
    "in UTF-16, the other way round": b"\xfe\xff" + TABLE.encode("utf-16-be"),
    "of a Chinese Windows": TABLE.replace("typical_seconds", "typical_seconds,备注")
    .replace(",26", ",26,常用")
    .encode("gbk"),
    "with semicolons": TABLE.replace(",", ";").encode(),
    "with decimal commas": TABLE.replace(",", ";").replace(".", ",").encode(),
    "with tabs": TABLE.replace(",", "\t").encode(),
    "with Excel's hint": b"sep=;\r\n" + TABLE.replace(",", ";").replace("\n", "\r\n").encode(),
    "with blanks after commas": TABLE.replace(",", " , ").encode(),
    "with commas at the end": TABLE.replace("\n", ",,\n").encode() + b",,\n,,,,,,,\n\n",
    "with 5.0 for 5": TABLE.replace(",5,", ",5.0,").replace(",26", ",26.0").encode(),
    "with quotes and a currency": TABLE.replace("1.25", '"¥ 1.25"').encode(),
    "with a header of its own case": TABLE.replace("vidu_type", "Vidu_Type ").encode(),
    "with empty rows first": b"\n,,,\n" + TABLE.encode(),
    "with exponents": TABLE.replace("1.25", "1.25E+00").encode(),
    "with a row twice": (TABLE + "\n" + ",".join(ROWS[0])).encode(),
}


@pytest.mark.parametrize("data", SPREADSHEETS.values(), ids=list(SPREADSHEETS))
def test_a_price_file_is_read_as_spreadsheets_save_it(data):
    assert own_prices(text_of(data)).rows == {
        ("img2video", "viduq2-turbo", 5, "720p"): (1.25, 26.0),
        ("img2video", "viduq3-pro", None, "1080p"): (0.9375, None),
    }


WRONG_CELLS = {
    TABLE.replace("duration_s,", ""): "line 1, column duration_s must be present, got",
    TABLE.replace("1.25", "cheap"): "line 2, column price_cny must be a number of 0 or more, got 'cheap'",
    TABLE.replace("0.9375", "-1"): "line 3, column price_cny must be a number of 0 or more, got '-1'",
    TABLE.replace("0.9375", "nan"): "line 3, column price_cny must be a number of 0 or more, got 'nan'",
    TABLE.replace("0.9375", ""): "line 3, column price_cny must be a number of 0 or more, got ''",
    TABLE.replace(",5,", ",five,"): "line 2, column duration_s must be a number of 0 or more, got 'five'",
    TABLE.replace(",5,", ",5.5,"): "line 2, column duration_s must be a whole number of seconds, or empty, got '5.5'",
    f"sep=,\n{TABLE}".replace(
        ",26", ",long"
    ): "line 3, column typical_seconds must be a number of 0 or more, got 'long'",
    "": "line 1, column vidu_type must be present, got []",
}


@pytest.mark.parametrize(("text", "found"), WRONG_CELLS.items(), ids=range(len(WRONG_CELLS)))
def test_a_wrong_cell_is_named_by_line_and_column(text, found):
    with pytest.raises(ViduRequestError) as raised:
        own_prices(text)
    assert str(raised.value).startswith(f"prices: {found}")
    assert "Nothing was sent or paid. Correct the file" in str(raised.value)


def test_two_prices_for_one_thing_are_refused():
    refused = r"^prices: line 4, column price_cny must be that of line 2, which is for the same video, got 1\.5\."
    with pytest.raises(ViduRequestError, match=refused):
        own_prices(f"{TABLE}\nimg2video,viduq2-turbo,5,720p,1.5,")


@pytest.mark.parametrize("price", ["1.25", None, True, -1, float("nan")])
def test_a_price_that_is_no_number_is_named(price):
    with pytest.raises(ViduRequestError) as raised:
        own_prices({("img2video", "viduq2-turbo", 5, "720p"): price})
    assert f"must be a number of 0 or more, got {price!r}. Nothing was sent or paid." in str(raised.value)


def test_a_decimal_is_a_price():
    prices = own_prices({("text2video", "viduq2", 1, "540p"): Decimal("0.3")})
    assert prices.rows["text2video", "viduq2", 1, "540p"][0] == 0.3
