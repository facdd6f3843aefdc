# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math
from collections import Counter

import pytest

from airflow_provider_vidu.protocol.prices import (
    PRICES_AS_OF,
    Estimate,
    estimate,
    own_prices,
    price_table,
    shipped_prices,
)


def body_of(vidu_type, model, **parameters):
    return {"model": model, "input": {}, "parameters": {"vidu_type": vidu_type, **parameters}}


def test_the_table_holds_every_row_of_the_price_page():
    assert PRICES_AS_OF == "2026-04-15"
    assert Counter(pair[:2] for pair in price_table()) == {
        ("text2video", "viduq2"): 30,
        ("img2video", "viduq2-pro"): 30,
        ("img2video", "viduq2-turbo"): 30,
        ("img2video", "viduq2-pro-fast"): 20,
        ("reference2video", "viduq2"): 30,
        ("start-end2video", "viduq2-pro"): 30,
        ("start-end2video", "viduq2-turbo"): 30,
        ("start-end2video", "viduq2-pro-fast"): 20,
        ("extend", "viduq2-pro"): 21,
        ("extend", "viduq2-turbo"): 21,
    }
    assert len(price_table()) == 262


def test_every_price_and_every_known_time_is_positive():
    numbers = [number for row in price_table().values() for number in row if number is not None]
    assert all(math.isfinite(number) and number > 0 for number in numbers)


@pytest.mark.parametrize(
    ("vidu_type", "model", "duration", "resolution", "price", "seconds"),
    [
        ("text2video", "viduq2", 1, "540p", 0.31, 3.6),
        ("text2video", "viduq2", 9, "720p", 2.19, 70),
        ("img2video", "viduq2-turbo", 3, "720p", 0.63, 15.3),
        ("img2video", "viduq2-pro", 8, "720p", 2.66, 148.4),
        ("img2video", "viduq2-pro-fast", 8, "720p", 0.6875, 23.5),
        ("img2video", "viduq2-pro-fast", 10, "1080p", 1.625, None),
        ("reference2video", "viduq2", 6, "540p", 1.25, 16.5),
        ("start-end2video", "viduq2-turbo", 7, "720p", 1.88, 40.8),
        ("extend", "viduq2-turbo", 5, "540p", 0.56, 21.05),
        ("extend", "viduq2-pro", 7, "540p", 1.41, 71.3),
    ],
)
def test_a_row_of_the_page_is_the_estimate(vidu_type, model, duration, resolution, price, seconds):
    body = body_of(vidu_type, model, duration=duration, resolution=resolution)
    assert estimate(body) == Estimate(price, seconds)


@pytest.mark.parametrize(
    ("body", "same_as"),
    [
        (body_of("img2video", "viduq2-pro"), {"duration": 5, "resolution": "720p"}),
        (body_of("img2video", "viduq2-pro", duration=3), {"duration": 3, "resolution": "720p"}),
        (body_of("img2video", "viduq2-pro", resolution="1080p"), {"duration": 5, "resolution": "1080p"}),
    ],
)
def test_what_is_left_out_counts_with_its_default(body, same_as):
    assert estimate(body) == estimate(body_of("img2video", "viduq2-pro", **same_as))
    assert estimate(body).price_cny is not None


def test_the_default_request_has_the_price_of_five_seconds_at_720p():
    assert estimate(body_of("img2video", "viduq2-pro")) == Estimate(1.72, 71.8)


@pytest.mark.parametrize(
    ("vidu_type", "resolution", "price"),
    [
        ("img2video", "540p", 1.25),
        ("img2video", "720p", 3.125),
        ("img2video", "1080p", 3.75),
        ("text2video", "540p", 1.25),
        ("start-end2video", "1080p", 3.75),
    ],
)
def test_viduq3_pro_is_paid_by_the_second_and_its_times_are_unknown(vidu_type, resolution, price):
    assert estimate(body_of(vidu_type, "viduq3-pro", duration=4, resolution=resolution)) == Estimate(price, None)


@pytest.mark.parametrize(
    ("body", "surcharge"),
    [
        (body_of("img2video", "viduq2-turbo", duration=3, resolution="720p", audio=True), 0.46875),
        (body_of("img2video", "viduq2-turbo", duration=3, resolution="720p", audio=False), 0),
        (body_of("reference2video", "viduq2", duration=3, resolution="720p", audio=True), 0.46875),
        (body_of("start-end2video", "viduq2-pro", duration=3, resolution="720p", audio=True), 0),
        (body_of("text2video", "viduq2", duration=3, resolution="720p", audio=True), 0),
        (body_of("img2video", "viduq3-pro", duration=3, resolution="720p", audio=True), 0),
    ],
)
def test_sound_costs_extra_on_two_jobs_of_the_q2_models(body, surcharge):
    silent = {**body, "parameters": {k: v for k, v in body["parameters"].items() if k != "audio"}}
    assert estimate(body).price_cny == pytest.approx(estimate(silent).price_cny + surcharge, abs=1e-9)
    assert estimate(body).typical_seconds == estimate(silent).typical_seconds


def test_a_price_is_rounded_to_the_page_s_digits():
    body = body_of("reference2video", "viduq2", duration=3, resolution="540p", audio=True)
    assert estimate(body) == Estimate(1.24875, 8.4)


NO_PRICE = "no price is known for "
UNKNOWN = "and its duration is not known beforehand"
BY_SECOND = f"per second of video, {UNKNOWN}"


STRANGE = "(this version does not know that pair; is it mistyped?)"


@pytest.mark.parametrize(
    ("body", "missing"),
    [
        (
            body_of("lip-sync", "vidu-lip-sync"),
            f"lip-sync with vidu-lip-sync, duration None, resolution None: it costs ¥0.625 per 5 s of video, {UNKNOWN}",
        ),
        (
            body_of("one-click/mv", "vidu-mv"),
            f"one-click/mv with vidu-mv, duration None, resolution 720p: it costs ¥0.25 {BY_SECOND}",
        ),
        (
            body_of("one-click/mv", "vidu-one-click-mv", resolution="540p"),
            f"one-click/mv with vidu-one-click-mv, duration None, resolution 540p: it costs ¥0.1875 {BY_SECOND}",
        ),
        (
            body_of("one-click/mv", "vidu-mv", resolution="1080p"),
            f"one-click/mv with vidu-mv, duration None, resolution 1080p: it costs ¥0.3125 {BY_SECOND}",
        ),
        (
            body_of("start-end2video", "viduq3-pro", resolution="540p"),
            f"start-end2video with viduq3-pro, duration None, resolution 540p: it costs ¥0.3125 {BY_SECOND}",
        ),
        (
            body_of("img2video", "viduq3-pro", resolution="2K", duration=3),
            "img2video with viduq3-pro, duration 3, resolution 2K",
        ),
        (
            body_of("img2video", "viduq1", resolution="1080p", duration=5),
            "img2video with viduq1, duration 5, resolution 1080p",
        ),
        (
            body_of("text2video", "viduq3-pro", resolution="720p"),
            f"text2video with viduq3-pro, duration None, resolution 720p: it costs ¥0.78125 {BY_SECOND}",
        ),
        (
            body_of("img2video", "viduq9", duration=5, resolution="720p"),
            f"img2video with viduq9, duration 5, resolution 720p {STRANGE}",
        ),
        (
            body_of("img2video", "viduq2-pro", duration="five"),
            "img2video with viduq2-pro, duration five, resolution 720p",
        ),
        (
            {},
            f"None with None, duration None, resolution None {STRANGE}",
        ),
    ],
)
def test_without_a_price_the_estimate_says_which_one_is_missing(body, missing):
    assert estimate(body) == Estimate(None, None, NO_PRICE + missing)


ASKED = body_of("img2video", "viduq2-turbo", duration=5, resolution="720p")
NEW_MODEL = body_of("img2video", "viduq9", duration=3, resolution="720p")
CSV = """model,vidu_type,resolution,duration_s,price_cny,typical_seconds
viduq2-turbo,img2video,720p,5,1,
viduq9,img2video,720p,,0.5,
viduq9,img2video,1080p,3,2,12.5
"""


@pytest.mark.parametrize(
    ("given", "body", "expected"),
    [
        ({("img2video", "viduq2-turbo", 5, "720p"): 1}, ASKED, Estimate(1.0, 26.4)),
        ({("img2video", "viduq9", None, "720p"): 0.5}, NEW_MODEL, Estimate(1.5, None)),
        (
            {("img2video", "viduq9", None, "720p"): 0.5, ("img2video", "viduq9", 3, "720p"): 1},
            NEW_MODEL,
            Estimate(1, None),
        ),
        ({}, ASKED, Estimate(None, None, f"{NO_PRICE}img2video with viduq2-turbo, duration 5, resolution 720p")),
        (CSV, ASKED, Estimate(1.0, 26.4)),
        (CSV, NEW_MODEL, Estimate(1.5, None)),
        (CSV, body_of("img2video", "viduq9", duration=3, resolution="1080p"), Estimate(2.0, 12.5)),
    ],
)
def test_prices_of_ones_own_replace_the_shipped_ones(given, body, expected):
    assert estimate(body, own_prices(given)) == expected


def test_an_estimate_tells_whose_prices_it_goes_by():
    assert (shipped_prices().source, own_prices({}).source) == ("prices of 2026-04-15", "your own prices")
