# SPDX-License-Identifier: Apache-2.0
"""
What a request will probably cost and how long it will take, by the operator's price page or by a table of one's own.

Source of the former: github.com/UCloudDoc-Team/modelverse, price.md, as of ``PRICES_AS_OF``. Never a bill: prices
change.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple

from airflow_provider_vidu.exceptions import ViduRequestError
from airflow_provider_vidu.protocol.capabilities import fields_of, row_of
from airflow_provider_vidu.protocol.texts import shown

Key = tuple[str, str, int | None, str]
GivenPrices = Mapping[tuple[str, str, Any, str], float]
"""Prices as an author gives them. A mapping is invariant in its keys, so the seconds are of any type here."""
Row = tuple[float, float | None]

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


class Prices(NamedTuple):
    """
    A price table.

    :param rows: (price in CNY, typical seconds of generation or ``None``) by (vidu_type, model, seconds of video,
        resolution). ``None`` in place of the seconds: the price is for each second of video.
    :param source: which prices they are, in words.
    """

    rows: Mapping[Key, Row]
    source: str


@cache
def price_table() -> Mapping[Key, Row]:
    """
    Read the table that ships with the package.

    :return: its rows, as in :class:`Prices`.
    """
    text = resources.files(__package__).joinpath(f"prices_{PRICES_AS_OF}.csv").read_text("utf-8")
    return {key: row for key, row, _ in _csv_rows(text)}


def shipped_prices() -> Prices:
    """Give the table that ships with the package, with what is paid by the second."""
    rates: dict[Key, Row] = {
        (vidu_type, model, None, resolution): (rate, None)
        for (vidu_type, model), by_resolution in PRICES_PER_SECOND.items()
        for resolution, rate in by_resolution.items()
    }
    return Prices({**price_table(), **rates}, f"prices of {PRICES_AS_OF}")


def own_prices(given: str | GivenPrices) -> Prices:
    """
    Read a price table that replaces the one that ships with the package.

    :param given: prices in CNY by (vidu_type, model, seconds of video, resolution), or the text of a CSV file with the
        columns of the shipped one: ``vidu_type``, ``model``, ``duration_s``, ``resolution``, ``price_cny`` and, if
        known, ``typical_seconds``. ``None`` or an empty ``duration_s``: the price is for each second of video.
    :return: The table. Typical times that it lacks come from the shipped one.
    :raises ViduRequestError: naming the first row that is wrong, by line and column in a file. Nothing was sent.
    """
    rows: dict[Key, Row] = {}
    pairs = _csv_rows(given) if isinstance(given, str) else ((key, (price, None), 0) for key, price in given.items())
    lines: dict[Any, int] = {}
    key: Any = None
    try:
        for key, (price, seconds), line in pairs:
            vidu_type, model, duration, resolution = key
            if isinstance(duration, (bool, float, str)):
                raise ValueError(f"{duration!r} seconds")
            if price is None or isinstance(price, (bool, str)) or not 0 <= price < float("inf"):
                raise ViduRequestError(
                    f"prices: the price of {shown(key)} must be a number from 0, got {shown(price)}. Nothing was sent "
                    "or paid. Correct it."
                )
            known = seconds or price_table().get(key, (0.0, None))[1]
            first = lines.setdefault(key, line)
            if rows.setdefault((vidu_type, model, duration, resolution), (float(price), known))[0] != price:
                raise _wrong_cell(line, "price_cny", f"that of line {first}, which is for the same video", price)
    except ViduRequestError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError, csv.Error) as error:
        raise ViduRequestError(
            f"prices: {type(error).__name__} ({shown(str(error))}) at or after the row {shown(key)} given, allowed: "
            "CNY by (vidu_type, model, whole seconds of video or None, resolution), or a CSV file with the columns "
            "vidu_type, model, duration_s, resolution, price_cny, typical_seconds. Nothing was sent."
        ) from None
    return Prices(rows, "the prices given")


def text_of(data: bytes) -> str:
    """
    Decode a price file as spreadsheets save it, too: UTF-8, UTF-16 with its mark, or a Chinese Windows' own code.

    :param data: the file.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030", "replace")


_COLUMNS = ("vidu_type", "model", "duration_s", "resolution", "price_cny")


def _csv_rows(text: str) -> Iterator[tuple[Key, Row, int]]:
    lines = text.splitlines()
    # Before the names of the columns stand empty rows perhaps, and Excel's own hint at the separator.
    skipped = next((at for at, line in enumerate(lines) if not re.fullmatch(r"sep=.|[,;\s]*", line.strip())), 0)
    separator = max(",;\t", key=lines[skipped].count) if lines[skipped:] else ","
    reader = csv.reader(lines[skipped:], delimiter=separator, skipinitialspace=True)
    header = [name.strip().lower() for name in next(reader, [])]
    if missing := [name for name in _COLUMNS if name not in header]:
        raise _wrong_cell(1 + skipped, missing[0], "there", header)
    for values in reader:
        row = {name: value.strip() for name, value in zip(header, values, strict=False) if name}
        if any(row.values()):
            cells = _Cells(dict.fromkeys(_COLUMNS, "") | row, reader.line_num + skipped, separator != ",")
            yield cells.key(), (cells.price(), cells.number("typical_seconds")), cells.line


class _Cells(NamedTuple):
    """A row of a price file, with where it stands, and whether commas are decimal points in it."""

    row: Mapping[str, str]
    line: int
    has_commas: bool

    def key(self) -> Key:
        duration = self.number("duration_s")
        if duration is not None and duration != int(duration):
            rule = "a whole number of seconds, or empty"
            raise _wrong_cell(self.line, "duration_s", rule, self.row["duration_s"])
        names = (self.row[name] for name in ("vidu_type", "model", "resolution"))
        vidu_type, model, resolution = names
        return vidu_type, model, None if duration is None else int(duration), resolution

    def price(self) -> float:
        price = self.number("price_cny")
        if price is None:
            raise _wrong_cell(self.line, "price_cny", "a number from 0", "")
        return price

    def number(self, name: str) -> float | None:
        text = self.row.get(name, "").lstrip("¥￥").strip()
        if not text:
            return None
        plain = text.replace(",", ".") if self.has_commas else text
        if not re.fullmatch(r"(\d{1,12}(\.\d{0,12})?|\.\d{1,12})(E[+-]?\d\d?)?", plain, re.ASCII | re.IGNORECASE):
            raise _wrong_cell(self.line, name, "a number from 0", text)
        return float(plain)


def _wrong_cell(line: int, column: str, rule: str, got: object) -> ViduRequestError:
    return ViduRequestError(
        f"prices: line {line}, column {column} must be {rule}, got {shown(got)}. Nothing was sent or paid. Correct the "
        f"file: its columns are {', '.join(_COLUMNS)} and typical_seconds."
    )


def estimate(body: Mapping[str, Any], prices: Prices | None = None) -> Estimate:
    """
    Estimate a request's price and its time of generation.

    :param body: a submit body; what it leaves out counts with the API's default.
    :param prices: the table, the shipped one by default.
    :return: the estimate; ``None`` for what is unknown, with the missing price named.
    """
    rows = (prices or shipped_prices()).rows
    vidu_type, model = str(body.get("parameters", {}).get("vidu_type")), str(body.get("model"))
    row, values = row_of(body), fields_of(body)
    defaults = {name: field.default for name, field in row.fields.items()} if row else {}
    duration, resolution = (values.get(name, defaults.get(name)) for name in ("duration", "resolution"))
    price, seconds = None, None
    rate, _ = rows.get((vidu_type, model, None, str(resolution)), (None, None))
    if isinstance(duration, int):
        price, seconds = rows.get((vidu_type, model, duration, str(resolution)), (None, None))
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
    if row_of({"model": model, "parameters": {"vidu_type": vidu_type}}) is None:
        return f"{text} (this version does not know that pair; is it mistyped?)"
    return text
