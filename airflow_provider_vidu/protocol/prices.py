# SPDX-License-Identifier: Apache-2.0
"""
Estimates of cost and generation time, from the shipped price table or the author's own.

Source of the shipped table: github.com/UCloudDoc-Team/modelverse, price.md, as of ``PRICES_AS_OF``. Prices change, so
an estimate is not a bill.
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
from airflow_provider_vidu.protocol.texts import brief

Key = tuple[str, str, int | None, str]
GivenPrices = Mapping[tuple[str, str, Any, str], float]
"""Prices from a DAG's author. A mapping is invariant in its keys, so the type of the seconds is ``Any``."""
Row = tuple[float, float | None]

PRICES_AS_OF = "2026-04-15"
OWN_PRICES = "your own prices"
"""Source of an author's table. The tab "Video" translates this text (``plugin/pages/card.js``)."""

_Q3_RATES = {"540p": 0.3125, "720p": 0.78125, "1080p": 0.9375}
_Q3_TYPES = ("img2video", "text2video", "start-end2video")
_MV_RATES = {"540p": 0.1875, "720p": 0.25, "1080p": 0.3125}
PRICES_PER_SECOND: Mapping[tuple[str, str], Mapping[str, float]] = {
    **{(vidu_type, "viduq3-pro"): _Q3_RATES for vidu_type in _Q3_TYPES},
    ("one-click/mv", "vidu-mv"): _MV_RATES,
    ("one-click/mv", "vidu-one-click-mv"): _MV_RATES,
}
"""CNY per second of video, by resolution."""
LIP_SYNC_PRICE_PER_5_SECONDS = 0.625
AUDIO_PRICE = 0.46875
"""CNY that ``audio=true`` adds on img2video and reference2video of the q2 models."""


class Estimate(NamedTuple):
    """
    Estimated price and typical generation time of a request.

    :param price_cny: CNY, ``None`` if no price is known.
    :param typical_seconds: seconds of generation, ``None`` if unknown.
    :param missing: a text that names the missing price, empty if a price is known.
    """

    price_cny: float | None
    typical_seconds: float | None
    missing: str = ""


class Prices(NamedTuple):
    """
    A price table.

    :param rows: (price in CNY, typical seconds of generation or ``None``) by (vidu_type, model, seconds of video,
        resolution). If the seconds of video are ``None``, the price is per second of video.
    :param source: name of the table for logs and errors.
    """

    rows: Mapping[Key, Row]
    source: str


@cache
def price_table() -> Mapping[Key, Row]:
    """
    Read the shipped price file.

    :return: the rows, as in :class:`Prices`.
    """
    text = resources.files(__package__).joinpath(f"prices_{PRICES_AS_OF}.csv").read_text("utf-8")
    return {key: row for key, row, _ in _csv_rows(text)}


def shipped_prices() -> Prices:
    """Return the shipped price table, including the prices per second."""
    rates: dict[Key, Row] = {
        (vidu_type, model, None, resolution): (rate, None)
        for (vidu_type, model), by_resolution in PRICES_PER_SECOND.items()
        for resolution, rate in by_resolution.items()
    }
    return Prices({**price_table(), **rates}, f"prices of {PRICES_AS_OF}")


def own_prices(given: str | GivenPrices) -> Prices:
    """
    Read the author's own price table, which replaces the shipped one.

    :param given: prices in CNY by (vidu_type, model, seconds of video, resolution), or the text of a CSV file with the
        columns of the shipped one: ``vidu_type``, ``model``, ``duration_s``, ``resolution``, ``price_cny`` and, if
        known, ``typical_seconds``. If the seconds are ``None`` or empty, the price is per second of video.
    :return: the table. Missing typical times come from the shipped table.
    :raises ViduRequestError: if a row is wrong. It names the first one, by line and column in a file. Nothing was sent.
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
                    f"prices: the price of {brief(key)} must be a number of 0 or more, got {brief(price)}. Nothing was "
                    "sent or paid. Correct the price."
                )
            known = seconds or price_table().get(key, (0.0, None))[1]
            first = lines.setdefault(key, line)
            if rows.setdefault((vidu_type, model, duration, resolution), (float(price), known))[0] != float(price):
                raise _wrong_cell(line, "price_cny", f"that of line {first}, which is for the same video", price)
    except ViduRequestError:
        raise
    except (KeyError, TypeError, ValueError, OverflowError, csv.Error) as error:
        raise ViduRequestError(
            "prices must map (vidu_type, model, whole seconds or None, resolution) to CNY, or be a CSV file with the "
            f"columns {', '.join(_COLUMNS)}, typical_seconds, got an error at or after the row {brief(key)} "
            f"({type(error).__name__}: {brief(str(error))}). Nothing was sent or paid. Correct that row."
        ) from None
    return Prices(rows, OWN_PRICES)


def text_of(data: bytes) -> str:
    """
    Decode a price file in any encoding in which spreadsheets save it.

    These are UTF-8, UTF-16 with a byte order mark, and GB18030 of Chinese Windows.

    :param data: content of the file.
    :raises ValueError: if it is a workbook.
    """
    if data.startswith(b"PK\3\4"):
        raise ValueError("it is a workbook; save it as CSV")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", "replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("gb18030", "replace")


_COLUMNS = ("vidu_type", "model", "duration_s", "resolution", "price_cny")


def _csv_rows(text: str) -> Iterator[tuple[Key, Row, int]]:
    lines = text.splitlines()
    # Empty rows and Excel's line that names the separator may precede the column names.
    skipped = next((at for at, line in enumerate(lines) if not re.fullmatch(r"sep=.|[,;\s]*", line.strip())), 0)
    separator = max(",;\t", key=lines[skipped].count) if lines[skipped:] else ","
    reader = csv.reader(lines[skipped:], delimiter=separator, skipinitialspace=True)
    header = [name.strip().lower() for name in next(reader, [])]
    if missing := [name for name in _COLUMNS if name not in header]:
        raise _wrong_cell(1 + skipped, missing[0], "present", header)
    for values in reader:
        row = {name: value.strip() for name, value in zip(header, values, strict=False) if name}
        if any(row.values()):
            cells = _Cells(dict.fromkeys(_COLUMNS, "") | row, reader.line_num + skipped, separator != ",")
            yield cells.key(), (cells.price(), cells.number("typical_seconds")), cells.line


class _Cells(NamedTuple):
    """A row of a price file, its line number, and whether its numbers have decimal commas."""

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
            raise _wrong_cell(self.line, "price_cny", "a number of 0 or more", "")
        return price

    def number(self, name: str) -> float | None:
        text = self.row.get(name, "").lstrip("¥￥").strip()
        if not text:
            return None
        plain = text.replace(",", ".") if self.has_commas else text
        if not re.fullmatch(r"(\d{1,12}(\.\d{0,12})?|\.\d{1,12})(E[+-]?\d\d?)?", plain, re.ASCII | re.IGNORECASE):
            raise _wrong_cell(self.line, name, "a number of 0 or more", text)
        return float(plain)


def _wrong_cell(line: int, column: str, rule: str, got: object) -> ViduRequestError:
    return ViduRequestError(
        f"prices: line {line}, column {column} must be {rule}, got {brief(got)}. Nothing was sent or paid. Correct the "
        f"file: its columns are {', '.join(_COLUMNS)} and typical_seconds."
    )


def estimate(body: Mapping[str, Any], prices: Prices | None = None) -> Estimate:
    """
    Estimate the price and the generation time of a request.

    :param body: a submit body; the API's defaults replace omitted fields.
    :param prices: the price table, the shipped one by default.
    :return: the estimate. An unknown value is ``None``, and ``missing`` names an unknown price.
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
    unknown = "and its duration is not known beforehand"
    if rate is not None:
        return f"{text}: it costs ¥{rate:g} per second of video, {unknown}"
    if vidu_type == "lip-sync":
        return f"{text}: it costs ¥{LIP_SYNC_PRICE_PER_5_SECONDS:g} per 5 s of video, {unknown}"
    if row_of({"model": model, "parameters": {"vidu_type": vidu_type}}) is None:
        return f"{text} (this version does not know that pair; is it mistyped?)"
    return text
