# SPDX-License-Identifier: Apache-2.0
"""
What a request will probably cost and how long it will take, by the operator's price page.

Source: github.com/UCloudDoc-Team/modelverse, price.md, as of ``PRICES_AS_OF``. Never a bill: prices change.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from airflow_provider_vidu.protocol.capabilities import fields_of, row_of

PRICES_AS_OF = "2026-04-15"

_Q3_RATES = {"540p": 0.3125, "720p": 0.78125, "1080p": 0.9375}
_Q3_TYPES = ("img2video", "text2video", "start-end2video")
_MV_RATES = {"540p": 0.1875, "720p": 0.25, "1080p": 0.3125}
PRICES_PER_SECOND: Mapping[tuple[str, str], Mapping[str, float]] = {
    **{(vidu_type, "viduq3-pro"): _Q3_RATES for vidu_type in _Q3_TYPES},
    ("one-click/mv", "vidu-mv"): _MV_RATES,
    ("one-click/mv", "vidu-one-click-mv"): _MV_RATES,
}
"""CNY for each second of video, by resolution."""
LIP_SYNC_PRICE_PER_5_SECONDS = 0.625
AUDIO_PRICE = 0.46875
"""Added by ``audio=true`` on img2video and reference2video of the q2 models."""


class Estimate(NamedTuple):
    """
    What a request will probably cost and how long it will take.

    :param price_cny: CNY, or ``None`` where no price is known.
    :param typical_seconds: seconds of generation, or ``None`` where none are known.
    :param missing: which price is missing; empty when there is one.
    """

    price_cny: float | None
    typical_seconds: float | None
    missing: str = ""


@cache
def price_table() -> Mapping[tuple[str, str, int, str], tuple[float, float | None]]:
    """
    Read the table that ships with the package.

    :return: (price in CNY, typical seconds or ``None``) by (vidu_type, model, duration in seconds, resolution).
    """
    text = resources.files(__package__).joinpath(f"prices_{PRICES_AS_OF}.csv").read_text("utf-8")
    return {
        (row["vidu_type"], row["model"], int(row["duration_s"]), row["resolution"]): (
            float(row["price_cny"]),
            float(row["typical_seconds"]) if row["typical_seconds"] else None,
        )
        for row in csv.DictReader(text.splitlines())
    }


def estimate(body: Mapping[str, Any]) -> Estimate:
    """
    Estimate a request's price and its time of generation.

    :param body: a submit body; what it leaves out counts with the API's default.
    :return: the estimate; ``None`` for what is unknown, with the missing price named.
    """
    vidu_type, model = str(body.get("parameters", {}).get("vidu_type")), str(body.get("model"))
    row, values = row_of(body), fields_of(body)
    defaults = {name: field.default for name, field in row.fields.items()} if row else {}
    duration, resolution = (values.get(name, defaults.get(name)) for name in ("duration", "resolution"))
    price, seconds = None, None
    rate = PRICES_PER_SECOND.get((vidu_type, model), {}).get(str(resolution))
    if isinstance(duration, int):
        price, seconds = price_table().get((vidu_type, model, duration, str(resolution)), (None, None))
        if price is None and rate is not None:
            price = rate * duration
    if price is None:
        return Estimate(None, None, _missing(vidu_type, model, duration, resolution, rate))
    if values.get("audio") is True and vidu_type in ("img2video", "reference2video") and "q2" in model:
        price += AUDIO_PRICE
    return Estimate(round(price, 5), seconds)


def _missing(vidu_type: str, model: str, duration: object, resolution: object, rate: float | None) -> str:
    text = f"no price is known for {vidu_type} with {model}, duration {duration}, resolution {resolution}"
    if rate is not None:
        return f"{text}: it costs ¥{rate:g} for each second of a video whose length is not known beforehand"
    if vidu_type == "lip-sync":
        return f"{text}: it costs ¥{LIP_SYNC_PRICE_PER_5_SECONDS:g} for every 5 s of a video of unknown length"
    return text
